"""What bytes mean: the nouns and the wire contract that edge agent and receiver share.

A leaf: it imports nothing of ours and touches no socket, file, clock, thread or logger.
"""
