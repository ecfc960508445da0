"""The formatter of Synapse's log for the journal: each line begins with the priority of its record (sd-daemon(3))."""

import logging

# The priorities of syslog, from the level at which each begins.
PRIORITIES = ((logging.CRITICAL, "<2>"), (logging.ERROR, "<3>"), (logging.WARNING, "<4>"), (logging.INFO, "<6>"))
LOWEST = "<7>"
# The journal splits lines of more than 48 KiB (journald.conf(5), LineMax=), and would read the priority of the second part
# from text that a client may control. This many characters have at most 32 KiB.
LONGEST = 8192


class Formatter(logging.Formatter):
    def format(self, record):
        priority = next((word for level, word in PRIORITIES if record.levelno >= level), LOWEST)
        # The journal ends a line at NUL as well.
        lines = super().format(record).replace("\0", "\\0").split("\n")
        return "\n".join(priority + part for line in lines for part in parts(line))


def parts(line):
    """The line in parts that the journal does not split."""
    return [line[start:start + LONGEST] for start in range(0, len(line), LONGEST)] or [""]
