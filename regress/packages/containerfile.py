"""Reads a Containerfile: its stages, and their instructions."""

import json
import re


class Stage:
    """The instructions from one FROM to the next."""

    def __init__(self, image, name):
        self.image, self.name = image, name
        self.instructions = []      # (word, the rest)

    @property
    def text(self):
        return "\n".join(f"{word} {rest}" for word, rest in self.instructions)

    def all(self, word):
        return [rest for name, rest in self.instructions if name == word]

    def word(self, word):
        """The last instruction of that name."""
        return self.all(word)[-1]

    def json(self, word):
        return json.loads(self.word(word))

    def health(self):
        """The command of HEALTHCHECK, in its form of a list."""
        return json.loads(re.search(r"CMD (\[.*\])", self.word("HEALTHCHECK"))[1])


def instructions(text):
    """[(word, rest)]: lines that end with a backslash continue, and comments are left out."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.M)
    text = re.sub(r"\\\n\s*", " ", text)
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def filled(text, arguments):
    """Inserts the known values of ${NAME}; a shell inserts the others."""
    return re.sub(r"\$\{(\w+)\}", lambda found: arguments.get(found[1], found[0]), text)


def stages(text, arguments=None):
    """[Stage]. ARG before the first FROM has what `arguments` do not say."""
    known, found = {}, []
    for word, rest in instructions(text):
        if word == "ARG" and not found:
            name, _, value = rest.partition("=")
            known[name] = (arguments or {}).get(name, value)
        elif word == "FROM":
            image, _, name = filled(rest, known).partition(" AS ")
            found.append(Stage(image, name))
        else:
            found[-1].instructions.append((word, rest))
    return found
