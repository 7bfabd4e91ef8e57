"""Numbers that papers and other implementations report."""

# data set | method | ACC / NMI / ARI | source; "-" was not published.
PUBLISHED = """\
mnist|k-means|.535 / - / -|DEC paper
mnist|AE + k-means|.818 / - / -|DEC paper
mnist|AE + k-means|.818 / .747 / -|IDEC paper
mnist|AE + k-means|.879 / .807 / .784|DEC-keras, mean of 10
mnist|DEC|.843 / - / -|DEC paper, best of 9 settings
mnist|DEC|.866 / .837 / -|IDEC paper
mnist|DEC|.912 / .869 / .856|DEC-keras, mean of 10
mnist|DEC|.916 / .875 / -|DEC-DA paper, mean of 5
mnist-test|DEC|.795 / .752 / -|DEC-DA paper, mean of 5
usps|k-means|.668 / - / -|IDEC paper
usps|AE + k-means|.693 / .662 / -|IDEC paper
usps|AE + k-means|.709 / .684 / .588|DEC-keras, mean of 10
usps|DEC|.741 / .753 / -|IDEC paper
usps|DEC|.764 / .787 / .707|DEC-keras, mean of 10
usps|DEC|.763 / .784 / -|DEC-DA paper, mean of 5
pendigits|AE + k-means|.686 / - / -|IDEC-toy
pendigits|DEC|.688 / - / -|IDEC-toy"""


def published(dataset, method):
    """Numbers of others with their sources."""
    entries = [line.split("|") for line in PUBLISHED.splitlines()]
    own = [entry[2:] for entry in entries if entry[:2] == [dataset, method]]
    return "; ".join(f"{numbers} ({source})" for numbers, source in own)
