"""train.py and rewind.py refuse scores and masks of another encoder, and tickets that saw rows to be held out."""

import json
import shutil

import toy_tasks
from calls import QUICK, options
from safetensors.torch import load_file, save_file

from data_utils.hub import load_tokenizer


def test_masks_that_saw_the_held_out_rows_are_refused(workshop, fine_tuned, tmp_path, cli, refused):
    call = ("rewind.py", *options(workshop), *QUICK, "--output_dir", tmp_path, "--masks")
    assert "tickets.sst: made with --holdout 0.0, so rows that --holdout 0.1 holds out helped to choose it" in refused(
        *call, fine_tuned / "masks/winning", "--holdout", 0.1
    )
    assert cli(*call, fine_tuned / "masks/dense", "--holdout", 0.1).status == 0
    mask = json.loads((fine_tuned / "masks/winning/heads_6_ffns_1.json").read_text())
    mask["provenance"]["holdout"] = 0.25  # the rows of 0.1 are among them
    (more_held_out := tmp_path / "more_held_out.json").write_text(json.dumps(mask))
    assert cli(*call, more_held_out, "--holdout", 0.1).status == 0
    assert "holdout 0.0, now 0.1" in refused(
        "train.py", *options(workshop), "--do_mask", "--output_dir", fine_tuned, "--holdout", 0.1
    )


def test_masks_by_other_training_rows_are_refused_where_rows_are_held_out(workshop, tmp_path, cli, refused):
    toy_tasks.write_sst(tmp_path / "glue", rows=200, seed=7)
    for folder, raw, longest in (("same", workshop.raw, 48), ("other", tmp_path / "glue", 64)):
        prepare = ("--raw_dir", raw, "--data_dir", tmp_path / folder, "--tasks", "sst", "--max_seq_len", longest)
        assert cli("prepro.py", *prepare, "--init_checkpoint", workshop.encoder).status == 0
    call = (*options(workshop), *QUICK, "--holdout", 0.1, "--output_dir")
    train = ("train.py", *call, tmp_path / "out", "--do_train", "--do_mask", "--sparsities", 0.5)
    assert cli(*train).status == 0
    rewind = ("rewind.py", *call, tmp_path / "runs", "--masks", tmp_path / "out/masks/winning", "--data_dir")
    assert cli(*rewind, tmp_path / "same").status == 0  # tokenized in another way
    assert "tickets.sst: chosen by other training rows" in refused(*rewind, tmp_path / "other")
    assert cli(*rewind, tmp_path / "other", "--holdout", 0, "--output_dir", tmp_path / "all_rows").status == 0


def test_a_mask_that_does_not_say_what_was_held_out_passes_with_a_line(workshop, fine_tuned, tmp_path, cli):
    written = json.loads((fine_tuned / "masks/winning/heads_6_ffns_1.json").read_text())
    (by_hand := tmp_path / "by_hand.json").write_text(json.dumps({**written, "provenance": {}}))
    line = f"{by_hand}: does not say which rows were held out when its tickets were chosen"
    for name, holdout, said in (("all", 0, 0), ("held_out", 0.1, 1)):
        call = ("--masks", by_hand, "--output_dir", tmp_path / name, "--holdout", holdout)
        ended = cli("rewind.py", *options(workshop), *QUICK, *call)
        assert ended.status == 0 and ended.out.count(line) == said


def test_tickets_that_were_scored_with_more_rows_than_they_train_on_pass_with_a_line(
    workshop, fine_tuned, tmp_path, cli
):
    call = ("--masks", fine_tuned / "masks/winning/heads_6_ffns_1.json", "--output_dir", tmp_path)
    ended = cli("rewind.py", *options(workshop), *QUICK, *call)
    assert ended.status == 0
    assert "heads_6_ffns_1.json: tickets.sst: its scores were made with 100 % of the training rows; it now" in ended.out


def test_an_encoder_of_the_same_name_with_other_weights_is_told_apart(workshop, fine_tuned, tmp_path, cli, refused):
    encoder = shutil.copytree(workshop.encoder, tmp_path / "other" / workshop.encoder.name)
    weights = load_file(encoder / "model.safetensors")
    weights["pooler.dense.bias"] = weights["pooler.dense.bias"] + 0.5
    save_file(weights, encoder / "model.safetensors", {"format": "pt"})
    call = ("rewind.py", *options(workshop), *QUICK, "--output_dir", tmp_path / "runs", "--masks")
    other = ("--init_checkpoint", encoder)
    assert "winning/heads_6_ffns_1.json: tickets.sst: chosen in tiny-bert with weights of the SHA-256" in refused(
        *call, fine_tuned / "masks/winning/heads_6_ffns_1.json", *other
    )
    random = fine_tuned / "masks/random/heads_6_ffns_1.json"  # does not depend on weights
    assert cli(*call, random, *other).status == 0
    assert "made with encoder_weights" in refused(*call, random)
    train = ("train.py", *options(workshop), "--do_train", "--do_mask", "--output_dir", fine_tuned)
    assert "made with encoder_weights" in refused(*train, *other)


def test_scoring_is_refused_where_the_model_was_trained_from_another_encoder(fine_tuned, workshop, tmp_path, refused):
    other = tmp_path / "other" / workshop.encoder.name
    shutil.copytree(workshop.encoder, other)
    weights = load_file(other / "model.safetensors")
    save_file({name: 2 * value for name, value in weights.items()}, other / "model.safetensors", {"format": "pt"})
    call = "train.py", *options(workshop), "--do_mask", "--criterion", "magnitude", "--output_dir", fine_tuned
    assert "made with encoder_weights '" in refused(*call, "--init_checkpoint", other)
    assert not (fine_tuned / "importance_magnitude.json").exists()


def test_rows_and_tokenizers_beyond_the_encoders_tables_are_refused(workshop, tmp_path, cli, refused):
    encoder, raw = tmp_path / "encoder", tmp_path / "glue"
    toy_tasks.write_sst(raw, rows=20)
    with open(raw / "SST-2/train.tsv", "a") as file:
        file.write("film " * 70 + "\t1\n")
    tokenizer = load_tokenizer(shutil.copytree(workshop.encoder, encoder))
    tokenizer.add_tokens(["sequel"])
    tokenizer.save_pretrained(encoder)
    for name, start in (("rows", workshop.encoder), ("tokenizer", encoder)):
        prepare = ("--raw_dir", raw, "--data_dir", tmp_path / name, "--tasks", "sst", "--max_seq_len", 128)
        assert cli("prepro.py", *prepare, "--init_checkpoint", start).status == 0
    train = ("train.py", *options(workshop), "--do_train", "--output_dir", tmp_path / "out", "--data_dir")
    assert "rows of up to 72 tokens, expected at most 64 for this encoder" in refused(*train, tmp_path / "rows")
    other = (tmp_path / "tokenizer", "--init_checkpoint", encoder)
    assert f"a tokenizer of {len(tokenizer)} tokens, expected at most the encoder's" in refused(*train, *other)


def test_weights_that_trained_on_rows_to_be_held_out_are_refused(workshop, fine_tuned, tmp_path, cli, refused):
    def train(start, name, holdout, task="sst"):
        begin = ("--init_checkpoint", start, "--do_train", "--holdout", holdout, "--output_dir", tmp_path / name)
        return "train.py", *options(workshop, task), *QUICK, *begin

    start = fine_tuned / "model"
    assert "model/tasks.json: trained on sst with --holdout 0.0" in refused(*train(start, "held_out", 0.1))
    assert cli(*train(start, "all_rows", 0)).status == 0
    assert cli(*train(start, "rte", 0.1, "rte")).status == 0  # a task that it has not seen
    through_another_task = train(tmp_path / "rte/model", "held_out", 0.1)
    assert "rte/model/tasks.json: trained on sst with --holdout 0.0" in refused(*through_another_task)

    assert cli(*train(workshop.encoder, "held_out", 0.2)).status == 0
    start = tmp_path / "held_out/model"
    assert cli(*train(start, "fewer_held_out", 0.1)).status == 0  # the rows of 0.1 are among those of 0.2
    assert "trained on sst with --holdout 0.2" in refused(*train(start, "more_held_out", 0.3))
    (start / "SHA256SUMS").unlink()
    saved = json.loads((start / "tasks.json").read_text())
    saved["trained_on"][0]["training_rows"] = "0123456789abcdef"
    (start / "tasks.json").write_text(json.dumps(saved))
    assert "tasks.json: trained on other rows of sst" in refused(*train(start, "other_rows", 0.2))
    del saved["trained_on"]
    (start / "tasks.json").write_text(json.dumps(saved))
    line = "tasks.json: does not say which rows the model trained on"
    ended = cli(*train(start, "unknown", 0, "rte"))
    assert ended.status == 0 and line not in ended.out
    ended = cli(*train(tmp_path / "unknown/model", "after_unknown", 0.1))
    assert ended.status == 0 and line in ended.out
