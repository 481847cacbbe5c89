"""Tasks whose pairs are made by a rule: lists of symbols, sums, dates, texts with spans taken out."""
