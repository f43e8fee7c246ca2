"""A separate building: the process that holds one model. Spawned by `backends`, never imported.

`__main__` starts it, `loop` serves, `scheduler` decides what is decoded next and is pure. Only
`engine` with its parts (`batch`, `sampler`, `vocabulary`, `llama_log`) and `self_test` know
llama.cpp; `echo` stands in for them where no model is wanted.
"""
