"""Floor 9 – the command line. One file per command, each exporting ``command``; nothing heavy is imported before it is used."""
