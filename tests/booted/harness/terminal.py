"""The program under test at a terminal, where it asks questions."""

from harness.host import Expected, Host, Result

# Types one letter of the first argument after each question.
TYPE = """
import os, pty, sys
answers, command = list(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
seen, asked = b"", 0
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    seen += part
    while answers and seen.count(b"[y/N] ") > asked:
        os.write(terminal, answers.pop(0).encode() + b"\\n")
        asked += 1
print(seen.decode(errors="replace"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def at_a_terminal(host: Host, answers: str, *arguments: str, expect: Expected = (0,)) -> Result:
    """Runs the program with these answers, a letter each; its output contains everything that the terminal shows."""
    return host.run("python3", "-c", TYPE, answers, "synapse-workers", *arguments, expect=expect)
