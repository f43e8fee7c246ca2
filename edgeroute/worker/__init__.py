"""A separate building: the process that holds one model. Spawned by `backends`, never imported.

`__main__` starts it and `loop` serves. What is decoded next is decided by pure code: `scheduler`
with its parts `sequence`, `fairness`, `prefix`, `batching` and `pace`. `sessions` keeps what
outlives a slot, `tool_calls` finds calls in what is said. Only `engine` with its parts (`batch`,
`cells`, `drawing`, `sampler`, `grammar`, `vocabulary`, `loading`, `llama_log`) and `self_test` know
llama.cpp; `echo` stands in for them where no model is wanted. Models that make vectors have a loop
of their own, `embedding`, over `embedder`.
"""
