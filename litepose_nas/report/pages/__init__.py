"""Pages that show a run: each file reads one kind of run and says what stands on its page."""
