"""jax's settings that rows depend on: pinned, or else recorded with the environment.

Each setting of `jax.config` is one of three. PINNED have one value whatever a user's
environment says. HARMLESS move no bit of a result: they say where to compile, what to log
or when to raise. All others, those of versions to come among them, are recorded where the
environment sets them, and a run is not resumed with others.
"""

import os

PINNED = {
    "jax_allow_f16_reductions": True,
    "jax_default_matmul_precision": None,  # `precision` has its own rule
    "jax_default_prng_impl": "threefry2x32",
    "jax_enable_custom_prng": False,
    "jax_enable_x64": False,
    "jax_high_dynamic_range_gumbel": False,
    "jax_random_seed_offset": 0,
    "jax_threefry_partitionable": True,
}
# Ours where the environment has no other: the same bits. On a GPU the generator is then a
# kernel of jax's; written out by XLA it is most of what a fresh net takes to compile.
CHOSEN = {"jax_threefry_gpu_kernel_lowering": True}
HARMLESS = frozenset(CHOSEN) | frozenset(
    # What is refused, and when: an error, or the same numbers.
    """check_vma jax_check_proxy_envs jax_check_static_indices jax_check_tracer_leaks
    jax_debug_key_reuse jax_disable_vmap_shmap_error jax_disallow_mesh_context_manager
    jax_enable_checks jax_explicit_x64_dtypes jax_legacy_prng_key jax_mutable_array_checks
    jax_no_execution jax_no_tracing jax_numpy_dtype_promotion jax_numpy_rank_promotion
    jax_raise_on_ppermute_sort_diff jax_raise_persistent_cache_errors jax_thread_guard
    jax_transfer_guard jax_transfer_guard_device_to_device
    jax_transfer_guard_device_to_host jax_transfer_guard_host_to_device
    """
    # What is kept of what was compiled.
    """jax_compilation_cache_check_contents jax_compilation_cache_dir
    jax_compilation_cache_include_metadata_in_key jax_compilation_cache_max_size
    jax_enable_compilation_cache jax_persistent_cache_enable_xla_caches
    jax_persistent_cache_min_compile_time_secs jax_persistent_cache_min_entry_size_bytes
    jax_remove_custom_partitioning_ptr_from_cache_key jax_share_binary_between_hosts
    jax_share_binary_between_hosts_timeout_ms
    """
    # What is said.
    """jax_array_garbage_collection_guard jax_captured_constants_report_frames
    jax_captured_constants_warn_bytes jax_compiler_detailed_logging_min_ops
    jax_debug_leaked_clients_on_clear_backends jax_debug_log_modules
    jax_distributed_debug jax_dump_ir_modes jax_dump_ir_to jax_explain_cache_misses
    jax_hlo_source_file_canonicalization_regex jax_include_debug_info_in_dumps
    jax_include_full_tracebacks_in_locations jax_log_checkpoint_residuals
    jax_log_compiles jax_logging_level jax_pallas_verbose_errors jax_pprint_use_color
    jax_send_traceback_to_runtime jax_source_url_schema jax_traceback_filtering
    jax_traceback_in_locations_limit jax_tracer_error_num_traceback_frames
    """
    # Devices and processes, of which the environment has what they are.
    """jax_coordinator_address jax_coordinator_bind_address jax_cpu_enable_async_dispatch
    jax_cpu_get_global_topology_timeout_minutes jax_cpu_get_local_topology_timeout_minutes
    jax_cross_host_transfer_socket_address jax_cross_host_transfer_timeout_seconds
    jax_cross_host_transfer_transfer_size jax_cross_host_transport_addresses
    jax_cuda_visible_devices jax_distributed_verify_secure_credentials
    jax_enable_preemption_service jax_enable_recoverability
    jax_force_dcn_cross_host_transfers jax_local_device_ids jax_mtls_ca_file
    jax_mtls_cert_file jax_mtls_key_file jax_mtls_peer_uri_prefix jax_num_cpu_devices
    jax_num_processes jax_oneapi_visible_devices jax_platform_name jax_platforms
    jax_process_id jax_rocm_visible_devices jax_sort_devices_by_process_index
    """.split()
)
# Read by what is below jax; XLA_FLAGS is recorded by itself.
BELOW = ("CUBLAS_WORKSPACE_CONFIG", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")


def pin() -> list[str]:
    """Gives the pinned settings their values; a line on each that had another.

    And those that are chosen here, where the environment has none.
    """
    import jax

    lines = []
    for name, value in PINNED.items():
        before = jax.config.values.get(name, value)
        if before != value:
            jax.config.update(name, value)
            lines.append(
                f"{name.upper()}={before} is not followed: rows are made with {value}"
            )
    for name, value in CHOSEN.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
    return lines


def recorded() -> str | None:
    """The variables of the environment that may move a bit, as NAME=value; or None."""
    import jax

    known = {name.upper() for name in jax.config.values}
    apart = {name.upper() for name in (*PINNED, *HARMLESS)}
    names = [
        name
        for name, value in sorted(os.environ.items())
        if value and name not in apart
        if name in known or name in BELOW or name.startswith("JAX_")
    ]
    return " ".join(f"{name}={os.environ[name]}" for name in names) or None
