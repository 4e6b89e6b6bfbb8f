"""A transformers model as a row of layers, and the adapters inside them."""
