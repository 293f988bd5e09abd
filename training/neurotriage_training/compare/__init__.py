"""The comparison: nine backbones and every technique of the original study, each a row that can be run again.

`rows` says what is compared, `runner` trains one row within a budget of minutes, `measure` asks what a network costs,
`search` looks for better settings, `table` and `document` write what was found.
"""
