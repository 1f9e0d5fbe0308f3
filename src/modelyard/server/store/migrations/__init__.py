"""How the tables came to be, step by step. An applied migration is never edited: the next change is a new file."""
