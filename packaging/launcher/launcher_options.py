"""The command line of the launcher."""
import argparse


def parse(arguments):
    """The options, the module and its arguments. Ends the process with a message if the command line is wrong."""
    parser = argparse.ArgumentParser(prog="launcher")
    parser.add_argument("--drain", type=float, default=10, help="seconds for in-flight requests to finish at a stop")
    parser.add_argument("--patience", type=float, default=30, help="seconds that connections wait for the start")
    parser.add_argument("--internal-ports", type=ports, default=range(0), metavar="FIRST-LAST",
                        help="ports for replication requests of processes on other hosts")
    parser.add_argument("--first-host", type=place, metavar="ADDRESS:PORT",
                        help="the port of main on another host; the process runs only while it answers")
    parser.add_argument("--name-users", action="store_true", help="name the user in a header that nginx asks for")
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args(arguments)


def ports(text):
    """The ports from FIRST to LAST."""
    first, _, last = text.partition("-")
    return range(int(first), int(last) + 1)


def place(text):
    """The address and the port."""
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


def module_of(arguments):
    """The module that the launcher runs with these arguments; None if it would end instead."""
    try:
        return parse(arguments).module
    except SystemExit:
        return None
