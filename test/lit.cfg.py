"""Configuration of the lit suite."""

import os
import shutil

import lit.formats

config.name = "Ropewalk"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Unit", "Python", "Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.ropewalk_build, "test")

path = [os.path.join(config.ropewalk_build, "bin"), os.path.join(config.llvm_root, "bin")]
config.environment["PATH"] = os.pathsep.join(path + [os.environ["PATH"]])
config.environment["FILECHECK_OPTS"] = "-enable-var-scope"
for name in ("HOME", "LD_LIBRARY_PATH"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions.append(("%python", config.python))
config.substitutions.append(("%plugin", os.path.join(config.ropewalk_build, "lib", "RopewalkPlugin.so")))
config.substitutions.append(("%build", config.ropewalk_build))
config.substitutions.append(("%source", config.ropewalk_source))

if shutil.which("ptxas", path=config.environment["PATH"]):
    config.available_features.add("ptxas")
