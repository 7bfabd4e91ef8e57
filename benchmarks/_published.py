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
mnist|IDEC|.881 / .867 / -|IDEC paper
mnist|IDEC|.912 / .872 / -|DEC-DA paper, mean of 5
mnist|DCN|.830 / .810 / .750|DCN paper, not reached by others
mnist|DeepKMeans|.840 / .796 / -|DKM paper, pretrained
mnist|DeepKMeans (annealing)|.823 / .780 / -|DKM paper, annealed
mnist|IDEC (conv)|.890 / .885 / -|DCEC paper
mnist|DEKM (conv)|.958 / .911 / -|DEKM authors' README, mean of 3
mnist|DCJC (unpooling)|.859 / .825 / -|authors' README, one run, 60,000 rows
mnist|DCJC (k-means)|.781 / .796 / -|authors' README, their network
usps|IDEC|.761 / .785 / -|IDEC paper
usps|IDEC|.771 / .799 / -|DEC-DA paper, mean of 5
usps|DCN|.688 / .683 / -|DEC-DA paper
usps|DeepKMeans|.757 / .776 / -|DKM paper, pretrained
usps|DeepKMeans (annealing)|.755 / .730 / -|DKM paper, annealed
usps|IDEC (conv)|.790 / .826 / -|DCEC paper
usps|DEKM (conv)|.798 / .822 / -|DEKM authors' README, mean of 3
coil20|DEKM (conv)|.690 / .801 / -|DEKM authors' README, 28 x 28, mean of 3
coil20-28|DEKM (conv)|.690 / .801 / -|DEKM authors' README, mean of 3
coil20|DCJC (unpooling)|.762 / .848 / -|authors' README, 128 x 128
coil20-128|DCJC (unpooling)|.762 / .848 / -|authors' README
mnist|SRKMeans|- / .913 / -|paper, as listed by Papers with Code
mnist-test|SRKMeans|.863 / .873 / -|paper, as listed by Papers with Code
usps|SRKMeans|- / .936 / -|paper, as listed by Papers with Code
mnist|MIADM (kl)|.965 / .917 / -|DEPICT paper, its own start
mnist-test|MIADM (kl)|.963 / .915 / -|DEPICT paper, its own start
usps|MIADM (kl)|.964 / .927 / -|DEPICT paper, its own start
pendigits|AE + k-means|.686 / - / -|IDEC-toy
pendigits|DEC|.688 / - / -|IDEC-toy"""


def published(dataset, method):
    """Numbers of others with their sources."""
    entries = [line.split("|") for line in PUBLISHED.splitlines()]
    own = [entry[2:] for entry in entries if entry[:2] == [dataset, method]]
    return "; ".join(f"{numbers} ({source})" for numbers, source in own)
