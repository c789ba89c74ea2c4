# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text with facts to recall: the log book of a harbour town.

The book is a stream of sentences from a small grammar. At the border of two
sentences a new fact may be noted, and facts noted earlier are asked for:

    Note Rodaw: ltal. The old crane was left by the slipway until 07:40. ...
    ... Ask Rodaw: ltal. ...

A name is consonant, vowel, consonant, vowel, consonant; a value is four
independent letters. So an answer can only be known from its fact: guessing all
four letters succeeds with probability 26**-4.

Names and values whose hash falls in one class of eight are kept for tests
(``is_held_out``) and never occur in a training text, as name or as value. Test
documents use only those.

Needs numpy and nothing else. The same seed gives the same bytes on every
machine: ``random.Random`` seeded by an int is stable across Python 3 versions
for the methods used here.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import random
from dataclasses import dataclass

import numpy as np

LETTERS = 4
"""Letters in a value."""

CHANCE = 26.0**-LETTERS
"""Probability of guessing a value."""

DEVELOPMENT_SEEDS = range(1_000_000, 1_100_000)
"""Seeds of the documents on which anything may be chosen."""

REPORT_SEEDS = range(2_000_000, 2_100_000)
"""Seeds of the documents behind reported figures; nothing is chosen on them."""

_SHORTEST = 16  # shortest distance that is asked for, in bytes
_EARLY = 24  # a question may come this much before its time: half a sentence

_CONSONANTS = "bcdfghjklmnpqrstvwxz"
_VOWELS = "aeiou"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"

_PEOPLE = (
    "Agnes Albert Alma Anton Arvid Asta Berta Birger Bodil Carl Clara Dagny "
    "Edith Edvard Einar Elin Elsa Emil Erik Esther Folke Frida Georg Gerda "
    "Greta Gustav Hanna Harald Hedda Henrik Hilda Hugo Ida Inga Ivar Jonas "
    "Karin Knut Lars Lydia Magnus Marta Nils Olga Oskar Ragna Sigrid Sven "
    "Thora Viktor"
).split()
_PLACES = (
    "slipway,boathouse,fish market,customs house,lighthouse,salt store,"
    "rope yard,north pier,south pier,chandlery,smithy,dry dock,cooperage,"
    "sail loft,ferry steps,pilot station,ice house,net shed,tar works,"
    "harbour office,bakery,chapel,tavern,bell tower,coal wharf,weigh house,"
    "breakwater,old bridge,timber yard,lock gate,post office,watch house,"
    "stone quay,bonded store,signal mast,sea wall,school,mill,inn,well"
).split(",")
_THINGS = (
    "anchor,barrel,basket,bell,block,boat,bucket,buoy,cable,candle,cask,chain,"
    "chart,chest,compass,crane,crate,drum,flag,grapnel,hammer,handle,hawser,"
    "hook,kettle,ladder,lamp,lantern,lever,line,mast,net,oar,pallet,parcel,"
    "plank,pulley,pump,rope,rudder,sack,sail,saw,shovel,spar,stove,table,"
    "tiller,trunk,wheel"
).split(",")
_ADJECTIVES = (
    "old new red blue green grey broken heavy light wet rusty painted borrowed "
    "spare long short small large cracked mended"
).split()
_VERBS = (
    "moved mended sold bought found lost cleaned weighed lifted carried painted lent hid marked tied dropped"
).split()
_STATES = "open shut empty full dark quiet busy flooded swept locked".split()
_WINDS = "north south east west north-east north-west south-east south-west".split()

_OTHER_WORDS = (
    "At the The was left by until counted near came in with Before and No is to "
    "leave before owes Tide wind boats out asked for a Note Ask"
).split()
_GRAMMAR = " ".join(_PEOPLE + _PLACES + _THINGS + _ADJECTIVES + _VERBS + _STATES + _WINDS + _OTHER_WORDS).lower()


def is_held_out(word: str) -> bool:
    """True if this name or value is kept for tests (one word in eight)."""
    return hashlib.blake2b(word.encode(), digest_size=1).digest()[0] % 8 == 0


@dataclass(frozen=True)
class Recall:
    """A question in a document, with the fact that answers it.

    ``note`` is the index of the first byte of the fact's sentence, ``fact`` of
    the first letter of its value there, ``answer`` of the first letter of the
    value in the question. ``seen`` is where the value stood last before the
    answer: in the fact, or in the answer of an earlier question.
    """

    name: str
    value: str
    note: int
    fact: int
    answer: int
    seen: int

    @property
    def distance(self) -> int:
        """Bytes from where the value stood last to the value in the question."""
        return self.answer - self.seen

    @property
    def letters(self) -> range:
        """Indices of the answer's letters; each is predicted from the byte
        before it."""
        return range(self.answer, self.answer + LETTERS)


class _Writer:
    """Writes one document of ``length`` bytes."""

    def __init__(self, seed: int, length: int, reach: int, held_out: bool, facts: float = 0.4) -> None:
        self.random = random.Random(seed)
        self.length = length
        self.reach = reach
        self.held_out = held_out
        self.facts = facts
        self.used: set[str] = set()

    def _pick(self, words: list[str]) -> str:
        return words[int(self.random.random() * len(words))]

    def _word(self, patterns: tuple[str, ...]) -> str:
        while True:
            word = "".join(self._pick(p) for p in patterns)  # type: ignore[arg-type]
            if is_held_out(word) == self.held_out:
                # "karin" or "rope" would be known from the sentences.
                if not (self.held_out and word in _GRAMMAR):
                    return word

    def _name(self) -> str:
        c, v = _CONSONANTS, _VOWELS
        while True:
            # The hash is taken of the lower-case word, so that the split does
            # not depend on how a name is written.
            name = self._word((c, v, c, v, c))
            if name not in self.used:
                self.used.add(name)
                return name.capitalize()

    def _value(self) -> str:
        return self._word((_ALPHABET,) * LETTERS)

    def _distance(self) -> float:
        if self.random.random() < 0.5:
            return self.random.uniform(_SHORTEST, self.reach)
        low, high = math.log(_SHORTEST), math.log(self.reach)
        return math.exp(self.random.uniform(low, high))

    def _time(self) -> str:
        r = self.random.random
        return f"{int(r() * 24):02d}:{int(r() * 12) * 5:02d}"

    def _number(self) -> int:
        return 2 + int(self.random.random() * 38)

    def _sentence(self) -> str:
        pick = self._pick
        kind = int(self.random.random() * 10)
        thing, place, person = pick(_THINGS), pick(_PLACES), pick(_PEOPLE)
        if kind == 0:
            verb, adjective = pick(_VERBS), pick(_ADJECTIVES)
            return f"At {self._time()} {person} {verb} the {adjective} {thing} at the {place}. "
        if kind == 1:
            return f"The {pick(_ADJECTIVES)} {thing} was left by the {place} until {self._time()}. "
        if kind == 2:
            return f"{person} counted {self._number()} {thing}s near the {place}. "
        if kind == 3:
            adjective = pick(_ADJECTIVES)
            return f"{self._number()} {adjective} {thing}s came in with {person}. "
        if kind == 4:
            return f"Before {self._time()} the {place} was {pick(_STATES)}. "
        if kind == 5:
            return f"{person} and {pick(_PEOPLE)} {pick(_VERBS)} a {thing}. "
        if kind == 6:
            return f"No {thing} is to leave the {place} before {self._time()}. "
        if kind == 7:
            return f"{person} owes the {place} {self._number()} {thing}s. "
        if kind == 8:
            return f"Tide at {self._time()}, wind {pick(_WINDS)}, {self._number()} boats out. "
        return f"The {place} asked {person} for a {pick(_ADJECTIVES)} {thing}. "

    def write(self) -> tuple[np.ndarray, list[Recall], list[int]]:
        """Returns the bytes (uint8 [length]), the recalls that lie whole inside
        the document, in order, and the first letter of every fact's value."""
        parts: list[str] = []
        recalls: list[Recall] = []
        facts: list[int] = []
        due: list[tuple[float, int, str, str, int, int]] = []
        at = asked = 0

        def put(sentence: str) -> None:
            nonlocal at
            parts.append(sentence)
            at += len(sentence)

        mentioned: dict[str, int] = {}
        # One sentence per turn, and a question goes to about the nearest border,
        # also right behind its fact: short distances must be common, or nothing
        # can be recalled while training windows are short.
        while at < self.length:
            if due and due[0][0] <= at + _EARLY:
                _, _, name, value, note, fact = heapq.heappop(due)
                answer = at + len(f"Ask {name}: ")
                put(f"Ask {name}: {value}. ")
                if answer + LETTERS <= self.length:
                    seen = mentioned.get(name, fact)
                    recalls.append(Recall(name, value, note, fact, answer, seen))
                mentioned[name] = answer
            elif self.random.random() < self.facts:
                name, value, note = self._name(), self._value(), at
                fact = at + len(f"Note {name}: ")
                put(f"Note {name}: {value}. ")
                facts.append(fact)
                for _ in range(1 + int(self.random.random() * 2)):
                    asked += 1
                    when = note + self._distance()
                    heapq.heappush(due, (when, asked, name, value, note, fact))
            else:
                put(self._sentence())
        data = "".join(parts).encode("ascii")[: self.length]
        return np.frombuffer(data, dtype=np.uint8).copy(), recalls, facts


def document(seed: int, length: int, reach: int | None = None) -> tuple[np.ndarray, list[Recall]]:
    """A held-out document that begins at a sentence.

    Facts are asked for at distances up to about ``reach`` bytes (default:
    ``length``), half of them uniform, half log-uniform from 16 bytes on; a
    question moves to about the nearest sentence border. Every question's fact lies in
    the document.

    Returns the bytes (uint8 [length]) and the recalls in order of their answers.
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    reach = length if reach is None else reach
    if reach <= _SHORTEST:
        raise ValueError(f"reach must be above {_SHORTEST} bytes, got {reach}")
    data, recalls, _ = _Writer(seed, length, reach, held_out=True).write()
    return data, recalls


def question(seed: int, length: int, distance: tuple[int, int]) -> tuple[np.ndarray, Recall]:
    """A held-out text of exactly ``length`` bytes that ends in ``Ask NAME: ``.

    The fact lies inside the text, ``distance[0]`` <= its distance <
    ``distance[1]`` bytes before the answer, which would start at index
    ``length``. The text may begin inside a sentence, as training windows do.

    Returns the bytes (uint8 [length]) and the recall, with indices into them.
    """
    low, high = distance
    longest = length - len("Note Rodaw: ") + 1
    if not _SHORTEST < low < min(high, longest):
        raise ValueError(
            f"distance must satisfy {_SHORTEST} < low < high and low < "
            f"{longest} for a text of {length} bytes, got {distance}"
        )
    data, recalls, _ = _Writer(seed, 8 * length, max(high, 32), held_out=True).write()
    for recall in recalls:
        start = recall.answer - length
        if start >= 0 and recall.note >= start and low <= recall.distance < high:
            moved = Recall(
                recall.name,
                recall.value,
                recall.note - start,
                recall.fact - start,
                length,
                recall.seen - start,
            )
            return data[start : recall.answer], moved
    raise ValueError(
        f"no recall at a distance in [{low}, {high}) from seed {seed}; widen the range or take another seed"
    )


def training_text(seed: int, length: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """A long training document, without any held-out name or value.

    Returns the bytes (uint8 [length]) and, for each, its ``note`` (int64
    [length]): -2 for ordinary text, -1 for a letter of a new fact's value, and
    for a letter of an answer the index at which the fact's sentence begins.
    """
    # In chapters: a writer never repeats a name, and would run out of them.
    data = np.empty(length, np.uint8)
    notes = np.full(length, -2, np.int64)
    chapter = 1 << 18
    for number, start in enumerate(range(0, length, chapter)):
        size = min(chapter, length - start)
        writer = _Writer((seed << 20) + number, size, reach, held_out=False)
        data[start : start + size], recalls, facts = writer.write()
        for fact in facts:
            notes[start + fact : min(start + fact + LETTERS, start + size)] = -1
        for recall in recalls:
            at = start + recall.answer
            notes[at : at + LETTERS] = start + recall.note
    return data, notes


if __name__ == "__main__":
    # text.py LENGTH [SEED]: a held-out text of LENGTH bytes, to standard output.
    import sys

    sys.stdout.buffer.write(document(int((sys.argv[2:] or [DEVELOPMENT_SEEDS[0]])[0]), int(sys.argv[1]))[0].tobytes())
