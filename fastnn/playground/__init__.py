"""The playground: a page on this machine that trains small networks with fastnn's engine.

`fastnn playground` starts it. `data`, `settings`, `session` and `script` need no web framework;
`server` needs the extra `playground`.
"""
