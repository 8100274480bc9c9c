"""The booleans of transformers' TrainingArguments, in any version: no tool's own source shows them."""

from __future__ import annotations

NAMES = ("TrainingArguments", "Seq2SeqTrainingArguments")
BOOLEANS = [
    "activation_checkpointing", "adafactor", "auto_find_batch_size", "average_tokens_across_devices",
    "batch_eval_metrics", "bf16", "bf16_full_eval", "dataloader_drop_last", "dataloader_in_order",
    "dataloader_persistent_workers", "dataloader_pin_memory", "ddp_broadcast_buffers",
    "ddp_find_unused_parameters", "ddp_static_graph", "disable_tqdm", "dispatch_batches", "do_eval", "do_predict",
    "do_train", "enable_jit_checkpoint", "eval_do_concat_batches", "eval_on_start", "eval_use_gather_object",
    "evaluate_during_training", "fp16", "fp16_full_eval", "full_determinism", "gradient_checkpointing",
    "greater_is_better", "group_by_length", "hub_always_push", "hub_private_repo", "ignore_data_skip",
    "include_inputs_for_metrics", "include_tokens_per_second", "jit_mode_eval", "load_best_model_at_end",
    "log_on_each_node", "logging_first_step", "logging_nan_inf_filter", "no_cuda", "overwrite_output_dir",
    "predict_with_generate", "prediction_loss_only", "push_to_hub", "remove_unused_columns",
    "restore_callback_states_from_checkpoint", "save_on_each_node", "save_only_model", "save_safetensors",
    "skip_memory_metrics", "sortish_sampler", "split_batches", "tf32", "torch_compile", "use_cache", "use_cpu",
    "use_ipex", "use_legacy_prediction_loop", "use_liger_kernel", "use_mps_device",
]  # fmt: skip
