"""`vdsprovctl shell`: what there is as a tree, with vdsprovctl's verbs at its nodes. See docs/shell.md.

`tree`, `luns` and `targets` say what is where, `nodes` what a node is, and `commands` makes a node's commands from the verbs
of vdsprovctl. `configshell` is the one module that imports configshell-fb.
"""
