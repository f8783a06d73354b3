"""Files of networks straight from their plans, to be measured: a tenth of a second each, and no torch."""
