"""Credit: which money paid which claim, and what of the rest may be lost."""
