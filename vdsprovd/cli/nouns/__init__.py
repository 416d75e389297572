"""The objects of the API and what can be done with them: one module a noun, one click command a verb."""
