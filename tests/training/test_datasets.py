"""Readers see the layouts that corpora are published in; every tree here is made of empty or tiny files."""

from pathlib import Path

import pytest

from training.datasets import Clip, DataError, data_fingerprint, read
from training.datasets.clip import hashed_split


def put(root: Path, *names: str, text: str = "x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def names(clips: list[Clip]) -> list[tuple[str, str, str]]:
    return [(clip.path.name, clip.label, clip.attack) for clip in clips]


HEADER = "file\tlabel\tattack\tsource\tspeaker\tlanguage\toriginal_rate_hz\tseconds\tlicence\n"


def protocol_corpus(root: Path) -> Path:
    for split in ("train", "dev", "test"):
        rows = f"{split}/a.flac\tspoof\tvits\tsrc-a\tann\ten\t16000\t3.0\tMIT\n"
        rows += f"{split}/b.flac\tbonafide\t-\tsrc-b\tunknown\ten\t16000\t2.5\tMIT\n"
        put(root, f"{split}/a.flac", f"{split}/b.flac")
        put(root, f"{split}.tsv", text=HEADER + rows)
    return root / "train.tsv"


def test_a_protocol_gives_every_column_that_a_clip_has(tmp_path: Path) -> None:
    first, second = read(protocol_corpus(tmp_path), "train")
    assert first == Clip(tmp_path / "train/a.flac", "spoof", "vits", "ann", "src-a", "train")
    assert second == Clip(tmp_path / "train/b.flac", "bonafide", "-", "unknown", "src-b", "train")


@pytest.mark.parametrize("split", ["dev", "test"])
def test_other_splits_of_a_train_protocol_are_its_siblings(tmp_path: Path, split: str) -> None:
    train = protocol_corpus(tmp_path)
    assert {clip.path.parent.name for clip in read(train, split)} == {split}
    assert read(train, split) == read(tmp_path, split)


def test_one_protocol_may_hold_all_splits_in_a_column(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", "b.wav")
    put(tmp_path, "all.tsv", text="file\tlabel\tsplit\na.wav\tbonafide\ttrain\nb.wav\tspoof\tdev\n")
    assert names(read(tmp_path / "all.tsv", "train")) == [("a.wav", "bonafide", "-")]
    assert names(read(tmp_path / "all.tsv", "dev")) == [("b.wav", "spoof", "unknown")]


def test_a_quote_in_a_protocol_is_an_ordinary_character(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", "b.wav")
    put(tmp_path, "train.tsv", text='file\tlabel\tspeaker\na.wav\tspoof\t"Bob\nb.wav\tspoof\tEve\n')
    assert [clip.speaker for clip in read(tmp_path, "train")] == ['"Bob', "Eve"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("path\tlabel\na.wav\tspoof\n", "file not found"),
        ("file\tlabel\na.wav\tmaybe\n", "line 2: label is 'maybe'"),
        ("file\tlabel\na.wav\n", "line 2: found"),
        ("file\tlabel\ngone.wav\tspoof\na.wav\tspoof\n", "names 2 clips but 1 are not there"),
        ("file\tlabel\n", "no clips"),
        ("", "columns \\(none\\)"),
    ],
)
def test_a_bad_protocol_says_what_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    put(tmp_path, "a.wav")
    put(tmp_path, "train.tsv", text=text)
    with pytest.raises(DataError, match=complaint):
        read(tmp_path / "train.tsv", "train")


def test_a_protocol_without_a_dev_sibling_says_so(tmp_path: Path) -> None:
    put(tmp_path, "a.wav")
    put(tmp_path, "train.tsv", text="file\tlabel\na.wav\tspoof\n")
    with pytest.raises(DataError, match="no dev split"):
        read(tmp_path / "train.tsv", "dev")


def test_a_plain_folder_keeps_a_fake_in_its_real_twins_split(tmp_path: Path) -> None:
    stems = [f"utt{number}" for number in range(60)]
    put(
        tmp_path,
        *(f"real/{stem}.wav" for stem in stems),
        *(f"fake/vits/{stem}.flac" for stem in stems),
        "real/notes.txt",
    )
    splits = {split: read(tmp_path, split) for split in ("train", "dev", "test")}
    assert sum(map(len, splits.values())) == 120
    for split, clips in splits.items():
        real = {clip.path.stem for clip in clips if clip.label == "bonafide"}
        fake = {clip.path.stem for clip in clips if clip.label == "spoof"}
        assert real == fake and {clip.split for clip in clips} == {split}
    assert len(splits["train"]) > len(splits["dev"]) + len(splits["test"])
    assert {clip.attack for clip in splits["train"]} == {"-", "vits"}


def test_a_folder_with_split_folders_uses_them(tmp_path: Path) -> None:
    put(tmp_path, "train/real/a.wav", "train/fake/b.wav", "dev/real/c.wav")
    assert names(read(tmp_path, "train")) == [("b.wav", "spoof", "unknown"), ("a.wav", "bonafide", "-")]
    assert names(read(tmp_path, "dev")) == [("c.wav", "bonafide", "-")]
    with pytest.raises(DataError, match="no clips for split 'test'"):
        read(tmp_path, "test")


@pytest.mark.parametrize(
    ("version", "nested"),
    [
        ("for-original", "for-original"),
        ("for-norm", "for-norm"),
        ("for-2sec", "for-2seconds"),
        ("for-rerec", "for-rerecorded"),
    ],
)
@pytest.mark.parametrize("given", ["", "{version}", "{version}/{nested}"])
def test_fake_or_real_is_read_as_kaggle_unpacks_it(
    tmp_path: Path, version: str, nested: str, given: str
) -> None:
    for split in ("training", "validation", "testing"):
        put(
            tmp_path,
            f"{version}/{nested}/{split}/real/{split}.wav",
            f"{version}/{nested}/{split}/fake/{split}.mp3",
        )
    data = tmp_path / given.format(version=version, nested=nested)
    for split, folder in [("train", "training"), ("dev", "validation"), ("test", "testing")]:
        clips = read(data, split)
        assert names(clips) == [(f"{folder}.mp3", "spoof", "unknown"), (f"{folder}.wav", "bonafide", "-")]
        assert {clip.source for clip in clips} == {f"fake-or-real/{version}"}


def test_two_versions_of_fake_or_real_are_never_mixed(tmp_path: Path) -> None:
    put(tmp_path, "for-norm/for-norm/training/real/a.wav", "for-2sec/for-2seconds/training/real/a.wav")
    with pytest.raises(DataError, match="for-2sec, for-norm.*expected one"):
        read(tmp_path, "train")


def test_fake_or_real_with_half_a_split_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "for-norm/training/real/a.wav")
    with pytest.raises(DataError, match="lacks real/ or fake/"):
        read(tmp_path / "for-norm", "train")


@pytest.mark.parametrize("given", ["", "LA"])
def test_asvspoof_2019(tmp_path: Path, given: str) -> None:
    for split, part, name in [
        ("train", "train", "train.trn"),
        ("dev", "dev", "dev.trl"),
        ("test", "eval", "eval.trl"),
    ]:
        put(
            tmp_path, f"LA/ASVspoof2019_LA_{part}/flac/LA_1.flac", f"LA/ASVspoof2019_LA_{part}/flac/LA_2.flac"
        )
        lines = "LA_0079 LA_1 - - bonafide\nLA_0080 LA_2 - A07 spoof\n"
        put(tmp_path, f"LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{name}.txt", text=lines)
        clips = read(tmp_path / given, split)
        assert names(clips) == [("LA_1.flac", "bonafide", "-"), ("LA_2.flac", "spoof", "A07")]
        assert clips[0].speaker == "LA_0079" and clips[0].path.parts[-3] == f"ASVspoof2019_LA_{part}"


@pytest.mark.parametrize("keys", ["keys/LA/CM", "LA-keys-full/keys/LA/CM", "keys/CM"])
def test_asvspoof_2021_reads_evaluation_trials_only(tmp_path: Path, keys: str) -> None:
    put(tmp_path, *(f"ASVspoof2021_LA_eval/flac/LA_E_{number}.flac" for number in range(3)))
    lines = "LA_0009 LA_E_0 alaw ita_tx A07 spoof notrim eval\n"
    lines += "LA_0010 LA_E_1 none ita_tx bonafide bonafide notrim eval\n"
    put(
        tmp_path,
        f"{keys}/trial_metadata.txt",
        text=lines + "LA_0011 LA_E_2 gsm ita_tx A09 spoof notrim progress\n",
    )
    assert names(read(tmp_path, "test")) == [
        ("LA_E_0.flac", "spoof", "A07"),
        ("LA_E_1.flac", "bonafide", "-"),
    ]
    with pytest.raises(DataError, match="evaluation set"):
        read(tmp_path, "train")


def test_asvspoof_2021_deepfake_lines_are_longer(tmp_path: Path) -> None:
    put(tmp_path, "ASVspoof2021_DF_eval/flac/DF_E_1.flac")
    line = "LA_0043 DF_E_1 mp3m4a asvspoof A09 spoof notrim eval traditional_vocoder - - - -\n"
    put(tmp_path, "keys/DF/CM/trial_metadata.txt", text=line)
    (clip,) = read(tmp_path, "test")
    assert (clip.attack, clip.source, clip.speaker) == ("A09", "asvspoof2021-df", "LA_0043")


@pytest.mark.parametrize("protocols", ["", "ASVspoof5_protocols/"])
def test_asvspoof_5_is_parted_by_spaces(tmp_path: Path, protocols: str) -> None:
    parts = [("train", "train", "T"), ("dev", "dev.track_1", "D"), ("test", "eval.track_1", "E_eval")]
    for split, name, folder in parts:
        put(tmp_path, f"flac_{folder}/X_1.flac", f"flac_{folder}/X_2.flac")
        lines = "T_4850 X_1 F - - - AC3 A05 spoof -\nT_4851 X_2 M C01 2 X_9 - bonafide bonafide -\n"
        put(tmp_path, f"{protocols}ASVspoof5.{name}.tsv", text=lines)
        assert names(read(tmp_path, split)) == [("X_1.flac", "spoof", "A05"), ("X_2.flac", "bonafide", "-")]


@pytest.mark.parametrize("given", ["", "release_in_the_wild"])
def test_in_the_wild_is_a_test_set(tmp_path: Path, given: str) -> None:
    put(tmp_path, "release_in_the_wild/0.wav", "release_in_the_wild/1.wav")
    put(
        tmp_path,
        "release_in_the_wild/meta.csv",
        text="file,speaker,label\n0.wav,Alec Guinness,spoof\n1.wav,Ann,bona-fide\n",
    )
    clips = read(tmp_path / given, "test")
    assert names(clips) == [("0.wav", "spoof", "unknown"), ("1.wav", "bonafide", "-")]
    assert clips[0].speaker == "Alec Guinness"
    with pytest.raises(DataError, match="evaluation set"):
        read(tmp_path / given, "dev")


def test_wavefake_keeps_all_versions_of_an_utterance_together(tmp_path: Path) -> None:
    utterances = [f"LJ001-{number:04}" for number in range(40)]
    put(tmp_path, *(f"LJSpeech-1.1/wavs/{name}.wav" for name in utterances))
    put(tmp_path, *(f"generated_audio/ljspeech_melgan/{name}_gen.wav" for name in utterances))
    put(tmp_path, *(f"generated_audio/ljspeech_hifiGAN/{name}_generated.wav" for name in utterances))
    total = 0
    for split in ("train", "dev", "test"):
        clips = read(tmp_path, split)
        total += len(clips)
        stems = [clip.path.stem.split("_")[0] for clip in clips]
        assert all(stems.count(stem) == 3 for stem in stems)
    assert total == 120


def test_fakes_without_real_speech_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "generated_audio/ljspeech_melgan/LJ001-0001_gen.wav")
    with pytest.raises(DataError, match="only generated clips"):
        read(tmp_path, "train")


def test_partialspoof(tmp_path: Path) -> None:
    for split, part in [("train", "train"), ("dev", "dev"), ("test", "eval")]:
        put(tmp_path, f"database/{part}/con_wav/CON_1.wav", f"database/{part}/con_wav/LA_1.wav")
        lines = "LA_0079 CON_1 - CON spoof\nLA_0079 LA_1 - - bonafide\n"
        folder = "database/protocols/PartialSpoof_LA_cm_protocols"
        put(tmp_path, f"{folder}/PartialSpoof.LA.cm.{part}.trl.txt", text=lines)
        for data in (tmp_path, tmp_path / "database"):
            assert names(read(data, split)) == [("CON_1.wav", "spoof", "CON"), ("LA_1.wav", "bonafide", "-")]


def test_mlaad_never_shares_a_generator_between_splits(tmp_path: Path) -> None:
    put(tmp_path, *(f"en_US/by_book/female/book/wavs/real{number}.wav" for number in range(60)))
    for model in [f"tts{number}" for number in range(40)]:
        put(tmp_path, f"fake/en/{model}/a.wav")
        row = f"./fake/en/{model}/a.wav|x.wav|en|True|2.1|ljspeech|{model}|vits\n"
        header = "path|original_file|language|is_original_language|duration|training_data|model_name|arch\n"
        put(tmp_path, f"fake/en/{model}/meta.csv", text=header + row)
    attacks = {
        split: {clip.attack for clip in read(tmp_path, split)} - {"-"} for split in ("train", "dev", "test")
    }
    assert sum(map(len, attacks.values())) == len(set.union(*attacks.values())) == 40
    assert all(attacks.values())


def test_mlaad_without_real_speech_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "fake/en/tts/a.wav")
    put(tmp_path, "fake/en/tts/meta.csv", text="path|model_name\n./fake/en/tts/a.wav|tts\n")
    with pytest.raises(DataError, match="fake speech only"):
        read(tmp_path, "train")


def test_an_unknown_layout_lists_what_was_found_and_the_known_ones(tmp_path: Path) -> None:
    put(tmp_path, "stuff/a.wav")
    with pytest.raises(DataError, match="holds stuff, which is no known layout") as error:
        read(tmp_path, "train")
    assert "real/ and fake/" in str(error.value)
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "gone", "train")
    with pytest.raises(DataError, match="Split is 'eval'"):
        read(tmp_path, "eval")


def test_hashed_splits_never_move() -> None:
    expected = {"a": "dev", "b": "train", "c": "test", "d": "train", "LJ001-0001": "train"}
    assert {name: hashed_split(name) for name in expected} == expected


def fingerprint_clips(root: Path) -> list[Clip]:
    put(root, "x/a.wav", text="12")
    put(root, "y/b.wav", text="123")
    return [Clip(root / "x/a.wav", "spoof"), Clip(root / "y/b.wav", "bonafide")]


def test_fingerprint_is_the_same_in_any_order_and_place(tmp_path: Path) -> None:
    here, there = fingerprint_clips(tmp_path / "here"), fingerprint_clips(tmp_path / "there" / "deep")
    assert data_fingerprint(here) == data_fingerprint(here[::-1]) == data_fingerprint(there)


def test_fingerprint_changes_with_a_label_a_size_a_name_or_a_clip(tmp_path: Path) -> None:
    first, second = clips = fingerprint_clips(tmp_path)
    seen = {data_fingerprint(clips), data_fingerprint([first])}
    seen.add(data_fingerprint([first, Clip(second.path, "spoof")]))
    put(tmp_path, "y/c.wav", text="123")
    seen.add(data_fingerprint([first, Clip(tmp_path / "y/c.wav", "bonafide")]))
    put(tmp_path, "y/b.wav", text="1234")
    seen.add(data_fingerprint(clips))
    assert len(seen) == 5
