"""Small texts that are gigabytes to whoever writes them out."""


def yaml_bomb(levels: int, width: int = 10) -> str:
    """Lines a0, a1 ... of which each has the one before so many times."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)
