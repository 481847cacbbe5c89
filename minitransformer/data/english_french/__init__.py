"""The built-in English-to-French task: words, spelling, phrases, sentences."""
