"""Words and frames for the templates of the coding prompts."""

WORDS: dict[str, tuple[str, ...]] = {
    "lang": (
        "Python", "Java", "C", "C++", "C#", "JavaScript", "TypeScript", "Go", "Rust", "Kotlin",
        "Swift", "PHP", "Ruby", "Scala", "R", "Perl", "Haskell", "bash", "PowerShell", "Dart",
        "Elixir", "Lua", "Julia", "MATLAB", "node", "React", "Django", "Spring Boot", "Flutter",
        "pandas", "Qt", "Svelte", "F#", "Zig", "OCaml", "VBA", "Clojure", "Fortran",
    ),
    "language": (
        "Python", "Java", "C", "C++", "C#", "JavaScript", "TypeScript", "Go", "Rust", "Kotlin",
        "Swift", "PHP", "Ruby", "Scala", "R", "Perl", "Haskell", "Dart", "Elixir", "Lua", "Julia",
    ),
    "circumstance": (
        "the input file is empty", "I call it from two threads", "a user enters an umlaut",
        "the list has more than a million entries", "I run it on the server but not on my laptop",
        "the window is resized", "I switch to release mode", "the connection drops",
        "two requests arrive at once", "the date is in daylight saving time", "I import the module",
        "the second test runs", "the path has a space in it", "I close the dialog",
        "the JSON has a null", "it's started by cron", "I pass a negative number",
        "the cache is cold", "I add the second item to the cart", "the recursion gets deep",
    ),
    "error": (
        "KeyError: 'id'", "IndexOutOfBoundsException: Index 5 out of bounds for length 5",
        "AttributeError: 'list' object has no attribute 'split'", "Permission denied (publickey)",
        "Cannot read properties of undefined (reading 'length')", "connection refused",
        "undefined reference to `main'", "ValueError: too many values to unpack (expected 2)",
        "Type 'string | undefined' is not assignable to type 'string'", "heap out of memory",
        "error[E0382]: use of moved value", "invalid literal for int() with base 10: ''",
        "SSL: CERTIFICATE_VERIFY_FAILED", "java.util.ConcurrentModificationException",
        "panic: runtime error: invalid memory address or nil pointer dereference",
        "Object reference not set to an instance of an object", "exit code 137",
        "no matching function for call", "duplicate key value violates unique constraint",
        "ImportError: cannot import name 'app' (circular import)", "stack smashing detected",
    ),
    "tool": (
        "docker", "nginx", "webpack", "eslint", "git", "terraform", "gradle", "cmake", "pytest",
        "vite", "kubectl", "poetry", "cargo", "maven", "redis", "postgres", "jenkins", "tmux",
        "prettier", "ansible", "systemd", "apache", "grafana", "vim", "ruff", "pnpm", "helm",
    ),
    "feature": (
        "parse a YAML file", "upload a file in chunks", "draw a rounded rectangle",
        "send an email with an attachment", "read a barcode from an image", "play a sound",
        "sort a table by several columns", "log in with OAuth", "watch a directory for changes",
        "cache results on disk", "resize images", "stream a large response", "parse XML",
        "generate a PDF invoice", "connect to a serial port", "encrypt a string with AES",
        "read the clipboard", "schedule a job every hour", "validate a form",
        "page through results",
        "make a request with a proxy", "compress a folder", "compare two dates", "run SQL safely",
        "hash passwords", "convert markdown to HTML", "show a progress bar", "trim a video",
        "subscribe to an MQTT topic", "export to Excel", "take a screenshot", "detect the language",
        "calculate a checksum", "use a database transaction", "plot a line chart", "round money",
    ),
    "app": (
        "to-do list", "chat server", "expense tracker", "weather widget", "hangman game",
        "web crawler",
        "note-taking app", "image gallery", "REST API for a library", "quiz", "pomodoro timer",
        "file renamer", "URL shortener", "memory card game", "log viewer", "recipe site",
        "CLI wiki",
        "chess clock", "parking lot simulation", "inventory system", "markdown editor",
        "Tetris clone",
        "bank account class", "polling bot", "contact form with validation",
        "seat reservation system",
    ),
    "wish": (
        "only changed files are checked", "logs are rotated daily", "it trusts our own certificate",
        "the cache survives a rebuild", "all requests to http go to https",
        "it ignores the dist folder",
        "two versions can run side by side", "secrets don't end up in the image",
        "it retries twice",
        "line endings are always LF", "tests run in parallel", "it starts after the network is up",
        "memory is capped at 2 GB", "static files get a long cache time",
        "pull requests are labelled",
        "unused imports are an error", "builds are reproducible", "idle connections are closed",
    ),
}  # fmt: skip

TASK_FRAMES: tuple[str, ...] = (
    "write a function that {}",
    "Write a function that {}.",
    "Write a python function that {}.",
    "Write a function in {lang} that {}",
    "Can you write me a {lang} function which {}?",
    "I need code that {}. {lang} please.",
    "{lang} function that {}",
    "Implement a method in {lang} that {}. Include tests.",
    "please give me a short script that {}",
    "Create a Python function named `solve` that {}. It must not use external libraries.",
    "How would you write a function that {}? Explain the complexity too.",
    'def solve(...):\n    """A function that {}."""\n\nComplete this.',
    "You are an expert {lang} programmer. Your task: write a function that {}. Return only code.",
    "coding challenge: something that {} - in {lang}, as short as possible",
    "Write a class with one public method that {}.",
    "### Task\nWrite a program that {}.\n### Language\n{lang}\n### Code\n",
    "need a helper that {}, any language",
    "In an interview I was asked for a function that {}. What's a good answer in {lang}?",
    "Here's my ticket: \"As a developer I want a function that {}, so that we can drop our old "
    'code." Please implement it with type hints and docstring.',
    "// {lang}\n// a function that {}\n",
    "write code: {}",
    "pseudocode for an algorithm that {}",
)

OUTPUT_FRAMES: tuple[str, ...] = (
    "{code}\n\nWhat does {call} return?",
    "What is the output of {call}?\n\n```{lang}\n{code}\n```",
    "Consider this {lang} function:\n\n{code}\n\nPredict the value of `{call}`. No explanation.",
    "```\n{code}\n```\nassert {call} == ??\n\nFill in the ??.",
    "You are given a function and a call. Complete the assertion with the literal value.\n\n"
    "[CODE]\n{code}\nassert {call} == \n[/CODE]",
    "Trace the code step by step and say what {call} gives:\n{code}",
    "{code}\nprint({call})\n\nwhat gets printed?",
    "what will this return for {call}\n\n{code}",
    "Execute mentally.\n{code}\nInput: {call}\nOutput:",
    "Given\n\n{code}\n\nis {call} equal to {value}? If not, what is it and why?",
    "My quiz says that {call} gives {value} but I don't see it. Here's the code:\n{code}",
)

INPUT_FRAMES: tuple[str, ...] = (
    "{code}\n\nFind an input for which f returns {value}.",
    "```{lang}\n{code}\n```\nassert f(??) == {value}\nReplace ?? so that the assertion holds.",
    "Which argument makes the function below give {value}?\n\n{code}",
    "You will be given a function and its output. Give any input that leads to the output.\n"
    "[FUNCTION]\n{code}\n[OUTPUT]\n{value}\n[INPUT]\n",
    "{code}\n# the result was {value}, what could the arguments have been?",
    "Work backwards: this {lang} code returned {value}. What was passed in?\n\n{code}",
)

STUDY_FRAMES: tuple[str, ...] = (
    "What does this function do?\n\n{code}",
    "{code}\n\nGive this function a better name and a docstring.",
    "Explain line by line:\n```\n{code}\n```",
    "Rewrite it more readably.\n\n{code}",
    "{code}\n\nwrite three unit tests for this",
    "Is there a bug in here? Which inputs break it?\n\n{code}",
    "{code}\n\nWhat's the time and space complexity?",
    "translate to Go:\n\n{code}",
    "```{lang}\n{code}\n```\nAdd type annotations and handle empty input.",
    "can this be a one-liner\n{code}",
)

PASTE_FRAMES: tuple[str, ...] = (
    "{code}\n\nthis gives me\n\n{error}\n\nwhy??",
    "I get the following:\n\n{error}\n\nThe code is below. What am I doing "
    "wrong?\n\n```{lang}\n{code}\n```",
    "Hello everyone, I'm new to {lang} and this has cost me my weekend. It worked until I changed "
    "one line (I no longer know which). Here is the relevant part:\n\n{code}\n\nand here's what "
    "it says:\n\n    {error}\n\nI tried restarting, cleaning and reinstalling. Could you explain "
    "the cause, not only the fix?",
    "fix this\n\n{code}",
    "```\n{code}\n```\nPlease review. What would you change and why? Mind the edge cases.",
    "Explain to a junior what this code is for and where it's fragile.\n\n{code}",
    "{error}\n\n{code}",
    "Add logging and proper error handling to this:\n\n{code}\n\nKeep the public interface.",
    "Below is some {lang} from a legacy project.\n\n---\n{code}\n---\n\n1. What does it do?\n2. "
    'Where does "{error}" come from?\n3. Propose a cleaner version.',
    "{code}\n\nHow can I write tests for this?",
    "so my colleague pushed this on friday evening and left for two weeks. prod shows"
    "\n\n{error}\n\nabout 40 times an hour. the code:\n\n{code}\n\nquickest safe hotfix? "
    "and then the real fix",
    "Rewrite in idiomatic {lang}:\n{code}",
    'You are a senior {lang} developer. A user reports: "{error}".\n\nSource:\n{code}\n\nFind the '
    "root cause and answer with a patch in diff format.",
    "Can you convert the code to Python (or to Java if it's Python already)?\n\n{code}",
    "{code}\n\nIs there a security or performance issue here?",
    "#issue 231: {error}\n\nSteps to reproduce: run the snippet.\n\n{code}\n\nExpected: no error. "
    "Please help me to find out what's going on.",
)

MODULE_FRAMES: tuple[str, ...] = (
    "Write unit tests for the whole module below. One test class per function.\n\n{code}",
    "{code}\n\nThis file has grown over the years. Which functions are unsafe for empty input? "
    "List them, explain, and give me a corrected file.",
    "I need documentation for this module: a docstring for every function and a short README "
    "section.\n\n```python\n{code}\n```\n\nKeep the code itself as it is.",
    "# legacy_tools.py\n{code}\n\n# Convert everything above to TypeScript, same behaviour.",
    "Please do a thorough code review. I care about naming, complexity and hidden bugs, in that "
    "order. Don't rewrite, just comment.\n\n{code}\n\nAgain: comments only, one list per function.",
    "{code}\n\nwhich of these can be replaced by something in the standard library?",
    "Here's what my predecessor left me. Our linter says 'too complex' and mypy has 31 complaints. "
    "Add type hints and split what is too long.\n\n{code}",
    "You will get a Python file. Say for each function what it does in one sentence, then the "
    "worst-case complexity.\n<file>\n{code}\n</file>",
    "{code}\n\n---\nGroup these functions into sensible classes or modules and show the new "
    "layout.",
    "Can you make this faster? A profile says most of the time is spent somewhere in here but I "
    "can't tell where:\n\n{code}",
)

NAMES: tuple[str, ...] = (
    "tidy",
    "process",
    "handle_row",
    "calc",
    "do_it",
    "transform",
    "merge_all",
    "check",
    "pack",
    "score_entry",
    "clean_up",
    "step",
    "prepare",
    "resolve",
    "combine",
    "shrink",
    "build_key",
    "lookup",
    "compute2",
    "old_helper",
    "parse_thing",
    "apply_rules",
    "roll",
    "expand",
)
