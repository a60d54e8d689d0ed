"""The command line: a file for each command, named as it is typed.

arguments(parser): adds the command's flags.
main(options): does it, and returns the exit status.
take(parser, module, arguments): the options, where flags depend on what is named first,
  as those of `run` do on the study; most commands have none.
"""
