"""Words that give a task away, with their weights in nats.

Owns the table and nothing that reads text. A word counts anywhere near the beginning or the end of
a message, an opening only as its first word. Two words are a phrase. Weights were set by hand on
prompts written for this purpose, on no data set.
"""

from collections.abc import Mapping

from edgeroute.domain.features import Task

Weighted = Mapping[float, str]
"""Weight to words, separated by spaces, or by commas where they are phrases."""

_LANGUAGES = (
    "french german spanish italian portuguese chinese japanese korean russian arabic dutch hindi "
    "polish turkish swedish greek latin english französische englische englisch deutsche deutsch "
    "anglais inglés"
)
_INTO = ", ".join(
    f"{to} {name}" for to in ("to", "into", "in", "ins", "auf") for name in _LANGUAGES.split()
)

_WORDS: Mapping[Task, Weighted] = {
    Task.MATH: {
        3.5: "calculate compute equation equations integral derivative algebra factorial "
        "logarithm log multiply multiplied divided subtract quadratic polynomial berechne calcule "
        "calcula calcola calcular",
        2: "percent percentage triangle rectangle radius perimeter remainder integer integers "
        "squared cubed hypotenuse probability theorem fraction sum average median continuous",
        1: "product prime area ratio plus minus digits cost costs each total miles km hours feet "
        "inches litres liters kg metres meters convert base",
    },
    Task.CODING: {
        4: "python javascript typescript java rust golang kotlin sql html css bash regex code "
        "traceback refactor compile compiler segfault leetcode typeerror django flask react numpy "
        "pandas dockerfile kubernetes git csv mutex semaphore codice código programm",
        2.5: "function bug debug algorithm script program api unittest recursion async array "
        "thread commit branch cron indices",
        1: "class string loop variable method json git server library funktion fonction función "
        "funzione",
    },
    Task.KNOWLEDGE_QA: {
        2: "capital population invented discovered president founded meaning definition author "
        "located happened",
        1: "history difference country planet war century",
    },
    Task.REASONING: {
        3.5: "riddle puzzle syllogism premise premises deduce",
        2: "logic logically valid argument conclude conclusion infer compare tradeoff tradeoffs",
        1: "therefore assume reasoning strategy plan why",
    },
    Task.CREATIVE: {
        3.5: "poem haiku story limerick sonnet lyrics slogan tagline brainstorm fairytale "
        "screenplay tale myth tweets gedicht geschichte poème poema cuento racconto poesia",
        2: "song essay speech dialogue monologue fiction creative metaphor blog ideas toast",
        1: "character title titles names letter describing about",
    },
    Task.TOOL_USE: {
        3: "alarm timer remind reminder reminders calendar thermostat playlist reschedule wecker",
        2: "weather flight flights checking savings reservation appointment traffic directions "
        "balance bill lights volume restaurant",
        1: "schedule meeting email account tomorrow tonight card nearest today",
    },
    Task.CHIT_CHAT: {
        2.5: "bored lonely hobbies joke",
        1: "feeling sad happy tired friend yourself",
    },
    Task.SUMMARISE: {
        5: "summarise summarize summary summarising summarizing synopsis tldr zusammenfassen "
        "zusammen zusammenfassung résumez résumer riassumi riassunto resumir resumen",
        3: "gist condense recap shorten overview takeaways",
        1: "shorter transcript",
    },
    Task.EXTRACT: {
        5: "extract extrahiere extrayez extraire extrae estrai",
        2: "entities mentioned mentions",
        1: "passage text list names dates emails addresses",
    },
    Task.CLASSIFY: {
        4.5: "classify categorize categorise sentiment spam klassifiziere clasifica classifica",
        2.5: "category categories label toxic offensive sarcastic intent",
        1.5: "positive negative neutral tag topic tweet comment",
    },
    Task.REWRITE: {
        5: "rewrite rephrase paraphrase reword proofread reformule reformulez reescribe riscrivi "
        "umformulieren korrigiere corrige corriger correggi",
        3: "grammar grammatical spelling typos tone",
        1: "sentence paragraph formal polite wording simpler",
    },
    Task.TRANSLATE: {
        5: "translate translation übersetze übersetzen übersetz traduis traduire traduisez "
        "traduce traducir traduci traduza traduzir tradurre переведи vertaal",
        1: _LANGUAGES,
    },
}

_PHRASES: Mapping[Task, Weighted] = {
    Task.MATH: {
        3: "square root, greatest common, per hour, left over, wie viel",
        1: "how many, how much, how old, wie viele, combien de, how far, how long",
    },
    Task.CODING: {
        3: "unit test, unit tests, pull request, linked list, stack trace, binary search",
    },
    Task.KNOWLEDGE_QA: {
        2: "difference between, who was, who wrote, who is, what year, how does, what causes, "
        "tell me, why is, why do, why does, why are",
        1: "what is, what are, what does, how do, how many, how old, how far",
    },
    Task.REASONING: {
        3.5: "pros and, comes next, must be, would happen, if all, all but, which is, taller "
        "than, older than, faster than, trade offs, should i, should we",
        2: "step by, better to, figure out, left of, right of, and why",
    },
    Task.CREATIVE: {
        3: "come up, make up, once upon, the style, blog post, cover letter, short story",
        2: "write me, write an, write a, schreibe ein, schreib ein, écris un, escribe un, scrivi "
        "una, scrivi un",
    },
    Task.TOOL_USE: {
        3.5: "wake me, turn on, turn off, turn up, turn down, remind me, shopping list, the "
        "weather, set an, my account, my calendar, my bill, look up",
        2: "set a, set the, search for, search the, what time, what s, my flight, for me, a "
        "table, my card, a text, a message, an email",
    },
    Task.CHIT_CHAT: {
        4: "how are, good morning, good night, good evening, good afternoon, thank you, s up, "
        "your name, nice to, see you, your favorite, your favourite, wie geht, ça va, cómo estás, "
        "como estas, come stai, a joke, your day, my day",
        2.5: "are you, do you, who are, i feel, i had, i just, you like, you think, i m, talk to, "
        "love you, you doing, tell me",
        1: "i am, you are",
    },
    Task.SUMMARISE: {
        4: "key points, main points, main idea, a nutshell, tl dr, key takeaways, sum up",
    },
    Task.EXTRACT: {
        3: "list all, find all, pull out, identify all, as json, named entities, all the, every "
        "name",
        2: "according to, the passage, read the, out of, named in, based on, the invoice, "
        "following text, from this, from the",
    },
    Task.CLASSIFY: {
        3.5: "positive or, or negative, which category, is spam, or ham, following categories, "
        "true or, bug or, or complaint",
        2.5: "does this, is this, whether the, what kind, what type, following comment",
    },
    Task.REWRITE: {
        4: "more formal, more polite, more professional, sound more, active voice, passive voice, "
        "more concise, less formal, more friendly",
        2.5: "easier to, nicer way, say this, my english, my text, make this, make it, improve "
        "this, following sentence, this sentence, this email, this paragraph",
    },
    Task.TRANSLATE: {
        4: "you say, en français, en español, in italiano",
        3.5: _INTO,
    },
}

_OPENINGS: Mapping[Task, Weighted] = {
    Task.MATH: {3: "solve evaluate simplify prove differentiate integrate factor löse", 1: "find"},
    Task.CODING: {3: "implement debug refactor"},
    Task.KNOWLEDGE_QA: {
        3: "define explain",
        2: "who when where why describe wer was wann wo warum wie qui quel quelle quand où "
        "pourquoi comment quién qué cuál cuándo dónde chi cosa dove perché кто что когда где",
        1.5: "what which how is does did are name",
    },
    Task.REASONING: {3: "compare suppose", 2: "should if plan"},
    Task.CREATIVE: {
        3: "compose imagine invent brainstorm continue",
        2: "write create draft suggest generate schreibe schreib écris escribe scrivi",
    },
    Task.TOOL_USE: {
        3: "book play call send order open schedule pay cancel transfer add dim navigate stell "
        "text show skip pause",
        1.5: "check",
    },
    Task.CHIT_CHAT: {
        4: "hi hello hey hiya thanks thank thx bye goodbye lol haha wow nice cool ok okay hallo "
        "bonjour hola ciao olá salut servus moin merci danke gracias grazie привет",
        1.5: "i my",
    },
    Task.SUMMARISE: {4: "fasse résume resume condense"},
    Task.EXTRACT: {2: "list identify find which"},
    Task.CLASSIFY: {3: "label tag decide"},
    Task.REWRITE: {3: "correct edit polish improve fix"},
    Task.TRANSLATE: {},
}

_CJK: Mapping[Task, str] = {
    Task.TRANSLATE: "翻译 翻譯 翻訳 訳して 번역",
    Task.SUMMARISE: "总结 總結 摘要 概括 要約 まとめて 요약",
    Task.REWRITE: "改写 润色 改寫 書き直 添削",
    Task.CREATIVE: "写一首 写一个故事 诗 物語 俳句",
    Task.CODING: "代码 函数 编程 程序 コード 関数 코드",
    Task.MATH: "计算 等于多少 方程 計算して",
    Task.CHIT_CHAT: "你好 您好 谢谢 こんにちは ありがとう 안녕",
    Task.KNOWLEDGE_QA: "什么是 是什么 为什么 谁 とは何 なぜ 무엇",
}
_CJK_WEIGHT = 3.0

Cues = dict[str, list[tuple[Task, float]]]


def _index(table: Mapping[Task, Weighted], separator: str) -> Cues:
    cues: Cues = {}
    for task, weighted in table.items():
        for weight, listed in weighted.items():
            for cue in listed.split(separator):
                cues.setdefault(cue.strip(), []).append((task, weight))
    return cues


WORDS = _index(_WORDS, " ")
PHRASES = _index(_PHRASES, ",")
OPENINGS = _index(_OPENINGS, " ")
SUBSTRINGS = _index({task: {_CJK_WEIGHT: words} for task, words in _CJK.items()}, " ")
"""For scripts that put no spaces between words."""
