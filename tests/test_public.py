"""The list of public data sets: what it names, and that reading it takes no torch."""

import subprocess
import sys

from torchvision import datasets

from prunelab.data import public, sources


def test_every_data_set_has_two_mirrors():
    assert set(sources.MIRRORS) == set(public.READERS)
    for bases in sources.MIRRORS.values():
        assert len(set(bases)) >= 2
        assert all(base.startswith("http") and base.endswith("/") for base in bases)


def test_every_file_has_a_published_checksum_of_its_own_or_of_its_archive():
    for name in public.READERS:
        for archive in public.ARCHIVES[name]:
            assert len(archive.md5) == 32 and archive.files
            listed = [isinstance(md5, str) and len(md5) == 32 for md5 in archive.files.values()]
            assert all(listed) or name == "fashion_mnist"


def test_names_and_checksums_of_the_files_are_torchvisions():
    for name, reader in public.READERS.items():
        reader, archives = getattr(datasets, reader), public.ARCHIVES[name]
        if hasattr(reader, "resources"):
            theirs = [(f"{reader.__name__}/raw/{gz}", md5) for gz, md5 in reader.resources]
            assert [(a.path, a.md5) for a in archives] == theirs
            assert all(list(a.files) == [a.path.removesuffix(".gz")] for a in archives)
        else:
            pairs = [*reader.train_list, *reader.test_list]
            pairs.append((reader.meta["filename"], reader.meta["md5"]))
            files = {f"{reader.base_folder}/{file}": md5 for file, md5 in pairs}
            assert [(a.path, a.md5, a.files) for a in archives] == [
                (reader.filename, reader.tgz_md5, files)
            ]


def test_finding_data_sets_takes_no_torch():
    code = (
        "import sys; from prunelab.data import NAMES, public;"
        "assert [public.find(n) for n in public.READERS] and 'digits' in NAMES;"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
