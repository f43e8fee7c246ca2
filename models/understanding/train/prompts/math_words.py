"""Words for the slots of the maths templates."""

WORDS: dict[str, tuple[str, ...]] = {
    "name": (
        "Ada", "Bjorn", "Chidi", "Dalia", "Enzo", "Fatou", "Goran", "Hye-jin", "Imre",
        "Jasmin", "Kofi", "Liesel", "Mateo", "Noor", "Oskar", "Priya", "Quinn", "Rashid",
        "Signe", "Tomasz", "Uma", "Viggo", "Wanjiru", "Ximena", "Yara", "Zoltan", "Alma",
        "Bruno", "Celeste", "Dmitri", "Elodie", "Farid", "Greta", "Hugo", "Isolde",
        "Jamal", "Kira", "Lorenzo", "Mei", "Nils", "Ottilie", "Pedro", "Rina", "Stefan",
        "Tamsin", "Ulrich", "Vera", "Wes", "Yolanda", "Zuri", "Colin", "Beatriz", "Anouk",
        "Tariq", "Bronwyn",
    ),
    "goods": (
        "notebooks", "melons", "lamps", "plant pots", "stickers", "eggs", "bracelets", "batteries",
        "pencils", "jars of jam", "mugs", "tulips", "sandwiches", "postcards", "cushions", "kites",
        "loaves of bread", "seedlings", "T-shirts", "bars of soap", "toy cars", "tickets",
        "bottles of juice", "candles", "baskets", "chairs", "bricks", "muffins", "marbles",
        "buttons", "comics", "pumpkins", "fishing hooks", "blankets", "screws", "oranges",
    ),
    "shop": (
        "bakery", "hardware store", "florist's", "kiosk", "market stall", "bike shop", "bookshop",
        "garden centre", "canteen", "pet shop", "second-hand shop", "stationer's", "farm shop",
    ),
    "money": ("euros", "dollars", "pounds", "francs", "crowns", "pesos", "rupees"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "the first day"),
    "vehicle": (
        "bus", "train", "cyclist", "lorry", "tram", "hiker", "ferry", "motorbike", "coach", "van",
    ),
    "job": (
        "paint the fence", "mow the meadow", "sort the letters", "dig the ditch", "pick the plums",
        "type up the report", "clean the hall", "pack the parcels", "wash the windows",
        "lay the floor", "stack the firewood", "prune the hedge", "load the boat",
    ),
    "people": ("bricklayers", "cooks", "students", "gardeners", "volunteers", "friends", "guests"),
    "func": ("sin(x)", "e^(2x)", "ln(x)", "cos(3x)", "sqrt(x)", "1/x", "tan(x)", "(x+1)^4"),
    "food": ("nuts", "raisins", "tea leaves", "coffee beans", "rice", "muesli", "dried apricots"),
    "town": (
        "Brackenford", "Port Elena", "Hollmark", "San Teo", "Ostrava", "Kelso", "Viborg", "Tarsk",
        "Lindau", "Marrow Bay", "Esker", "Nantes", "Gdynia", "Alder Creek", "Puebla", "Kisumu",
    ),
}  # fmt: skip

FRAMES: tuple[str, ...] = (
    "Question: {}\nAnswer:",
    "Q: {}\nA:",
    "{}\n\nShow your work.",
    "{} Let's think step by step.",
    "Solve the following problem. {}",
    "Problem:\n{}\n\nSolution:",
    "{}\nGive only the final number.",
    "{}\nPut your final answer within \\boxed{ }.",
    "### Instruction:\n{}\n\n### Response:",
    "Please help me with this: {}",
    "hi, could you work this out for me? {}",
    'I have this word problem:\n\n"{}"\n\nHow do I set it up?',
    "{} explain each step please",
    "You are a careful mathematician. Solve the task below and end with 'The answer is N'.\n\n{}",
    "**Exercise.** {}",
    "{} (no calculator)",
    "As an assistant for students, answer briefly.\nTask: {}",
    "my textbook says: {} ... and i have no idea where to start",
    "Math problem: {}",
    'Given the problem "{}", what\'s the answer?',
    "{}\nReason carefully, then write #### followed by the answer.",
    "Answer the following question.\n\n{}\n\nYour answer should be a single number.",
)

SHEETS: tuple[str, ...] = (
    "Please solve all of these:\n\n{}",
    "Worksheet 7. Name: ________  Date: ________\n\n{}\n\nMake an answer key with short solutions.",
    "{}\n\nThis is my homework for tomorrow. Can you do every exercise and show the steps?",
    "I'm preparing for a test and got stuck on most of this sheet.\n\n{}\n\nWhich of them use the "
    "same idea? Then solve them, easiest first.",
    "Solve the exercises. Answer with one line per exercise.\n{}",
    "My answers differ from those of my partner on some of these. What are the right results?\n{}",
    "## Practice set\n{}\n## Instructions\nGive final results only, in a numbered list.",
)
