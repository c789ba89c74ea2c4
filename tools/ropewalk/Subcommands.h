//===- Subcommands.h - Entry points of the subcommands ------ -*- C++ -*-===//
//
// Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ROPEWALK_TOOLS_ROPEWALK_SUBCOMMANDS_H
#define ROPEWALK_TOOLS_ROPEWALK_SUBCOMMANDS_H

// Each takes the arguments from the subcommand's name on and returns the exit
// status: 0 done, 1 failed, 2 wrong usage.
#define ROPEWALK_SUBCOMMAND(NAME, FUNCTION, SUMMARY)                           \
  int FUNCTION(int argc, char **argv);
#include "Subcommands.def"

#endif // ROPEWALK_TOOLS_ROPEWALK_SUBCOMMANDS_H
