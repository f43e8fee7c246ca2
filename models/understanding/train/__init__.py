"""How the shipped understanding model is made: authored prompts, a teacher's table, heads."""
