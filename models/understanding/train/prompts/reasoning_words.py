"""Words and frames for the templates of the reasoning prompts."""

from train.prompts.math_words import WORDS as SHARED

WORDS: dict[str, tuple[str, ...]] = {
    "name": SHARED["name"],
    "goods": SHARED["goods"],
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "month": ("January", "March", "April", "May", "July", "August", "October", "December"),
    "colour": ("red", "green", "purple", "yellow", "white", "black", "orange", "turquoise", "grey"),
    "fruit": ("apple", "plum", "fig", "pear", "mango", "lemon", "peach", "quince", "melon", "lime"),
    "pet": ("goose", "rabbit", "cat", "pony", "hamster", "parrot", "goat", "tortoise", "ferret"),
    "instrument": ("flute", "drum", "harp", "cello", "trumpet", "banjo", "clarinet", "accordion"),
    "kind": (
        "poets", "swimmers", "bakers", "early risers", "vegetarians", "chess players", "liars",
        "teachers", "sailors", "insects", "metals", "violins", "mammals", "optimists", "birds",
        "novels", "lakes", "machines", "twins", "owls", "gardeners", "judges", "cyclists",
    ),
    "nonsense": (
        "wug", "florp", "zindle", "tove", "brillig", "quarf", "mib", "snerd", "glim", "plonk",
        "dax", "yem", "vorpus", "sprat", "lumpus", "rompus",
    ),
    "event": (
        "the bridge was closed", "the dog barked all night", "the bakery ran out of bread",
        "a window broke", "the teacher was late", "the cellar was flooded", "the lift got stuck",
        "all the taxis were taken", "the fridge made a strange noise", "it snowed in May",
        "the neighbours moved out", "someone left the gate open", "the band stopped playing",
        "the milk boiled over", "the mayor resigned", "the last bus left early",
        "the trees lost their leaves in July", "nobody came to the party", "the alarm went off",
        "a stranger handed out flowers", "the ferry was cancelled", "the price of coffee doubled",
    ),
    "chore": (
        "wash the car", "visit an aunt", "repair the bike", "book a dentist", "buy a present",
        "tidy up the attic", "finish the report", "mow the lawn", "learn for the test",
        "bake a cake", "call the landlord", "go to the gym", "return the library books",
        "paint the kitchen", "walk the dog", "look for a new flat", "sort old photos",
        "fix the roof", "write to the bank", "plant the tulips", "cancel the subscription",
    ),
    "word": (
        "bird", "nest", "pen", "paper", "hunger", "bread", "captain", "ship", "wheel", "car",
        "leaf", "tree", "hour", "day", "drop", "sea", "key", "lock", "doctor", "patient", "loud",
        "soft", "puppy", "dog", "thirst", "water", "finger", "hand", "author", "book", "page",
        "sail",
    ),
}  # fmt: skip

FRAMES: tuple[str, ...] = (
    "Question: {}\nAnswer:",
    "Q: {}\nA:",
    "{}\n\nThink step by step.",
    "{} Explain your reasoning.",
    "Riddle: {}",
    "here's a puzzle: {}",
    "Logic question.\n{}\nJust the answer please.",
    "### Instruction:\nAnswer by careful deduction.\n\n### Input:\n{}\n\n### Response:",
    'My teacher gave us this one: "{}" Any ideas?',
    "{} (it's from a job interview)",
    "Use common sense. {}",
    "Consider the following.\n\n{}\n\nBriefly justify.",
    "I was wondering: {}",
    "[Puzzle]\n{}\n[Solution]\n",
    "Reason about this carefully before you answer: {}",
    "{} no tricks, I just want to understand how one gets there",
)

QUESTION_FRAMES: dict[str, tuple[str, ...]] = {
    "reasoning.cs.physical": (
        "Goal: {}", "Which works better? {}", "Pick the sensible solution. {}", "{}",
    ),
    "reasoning.cs.ending": (
        "{} ...", "Choose the most plausible continuation.\n{}", "How does it go on? {}",
        "Complete the description with an appropriate ending:\n{}",
    ),
    "reasoning.cs.pronoun": ("{}", "Resolve the reference. {}", "Fill in or answer: {}",
    "Sentence: {}"),
    "reasoning.cs.cause": ("{}", "Which is more plausible? {}",
    "{} Select the better alternative."),
    "reasoning.cs.feel": ("{}", "Context and question: {}", "Social situation. {}"),
    "reasoning.yesno": ("{}", "{} Think about it, then answer.",
    "Answer the question with one word. {}"),
}  # fmt: skip
