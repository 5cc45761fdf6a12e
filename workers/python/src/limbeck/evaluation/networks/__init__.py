"""Networks that look at pictures for the scorers: detector, VQA model, feature network.

Each reads its weights from a local snapshot, and is held against stored pictures before it is believed
(`stored_answers`). What they say travels as files (detections.jsonl, answers.csv, statistics.npz): the rules
that score them are pure functions elsewhere, so a network's environment never touches a rule.
"""
