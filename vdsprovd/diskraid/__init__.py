"""DiskRAID's language, for `vdsprovctl diskraid`: what Windows' administrators type, and the scripts that they have.

A line becomes words (`lexer`), the words a command with its parameters (`grammar`, by the table that the modules in
`commands` make up), and the command calls of the API through `vdsprovd.client` (`session`). What is selected, and the
numbers that objects have, is `focus`. docs/diskraid.md and HELP are made from the same table.
"""
