"""Library of the course *Pooling, Stride & CNN Design*."""

__version__ = "0.1.0"
