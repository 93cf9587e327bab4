"""Consensus ADMM over batches of data: one NLP a batch, one network for all."""
