"""The steps of the product as library calls: train a supernet, search it, extract, fine-tune, evaluate."""
