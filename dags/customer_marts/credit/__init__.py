"""Credit: which money paid which claim, and what follows from it."""
