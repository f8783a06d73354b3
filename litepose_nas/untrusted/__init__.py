"""What a stranger may have prepared: opened, parsed and shown so that it can neither hang nor harm a program."""
