"""Parse, call, print: the command line over `jepakit.commands`.

Only the chosen command is imported and typed, so `jepakit --help` needs no torch. A new verb is a row of
`usage.COMMANDS`, a function in the module of its group, and a row of `entry.VERBS`.
"""

from jepakit.cli.entry import VERBS as VERBS
from jepakit.cli.entry import run as run
from jepakit.cli.usage import COMMANDS as COMMANDS
