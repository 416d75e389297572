"""The cases, one module each; a new one is here and nowhere else.

The first line of a module says what is measured. `measure` takes the numbers of LUNs, and gives rows (`figures.Row`) as it
goes; `COUNTS` are those numbers by default, `LONG` those that the aim is for. `AIM` is what it is to be, in words.
`PLOT` names the figure that is drawn over the number of LUNs, a line for each contender; "" for none.
"""
