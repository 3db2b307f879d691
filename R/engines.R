#' Choose an engine and its options
#'
#' `Engine()` makes any engine by its name; `LocalEngine()` is the one that needs no key and no
#' network; `CyteTypeEngine()` asks a service that speaks the CyteType protocol, the hosted one or
#' `cellferry serve` on your own machine. Pass the result to [AnnotateClusters()], or pass the
#' name and write the options beside it: `AnnotateClusters(x, engine = "local", n_genes = 20)`.
#' [CellAtlasEngine()] is for [AnnotateCells()]. [KnownEngines()] lists them all, those of other
#' packages too, and the options of each.
#'
#' @section Keys:
#' Options whose names end in `key`, `token`, `secret` or `password` are kept in memory, outside of
#' the object, for this session only: they are not printed, not saved with the object and not part
#' of a run. Better than writing a key into a script is the environment variable of its provider
#' (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, `OPENROUTER_API_KEY`, ..., for a `base_url`
#' `CELLFERRY_LLM_API_KEY`, for a service `CYTETYPE_AUTH_TOKEN` or `CELLATLAS_API_KEY`). Where a key
#' is needed and there is none, an interactive session asks.
#'
#' @param name Name of an engine, for example `"local"`.
#' @param ... Options of the engine, by name.
#'
#' @return An object of class `cellferry_engine`.
#' @family annotation
#' @examples
#' Engine("local", n_genes = 20)
#' LocalEngine(knowledge = list("My B cell" = c("CD79A", "MS4A1", "CD19")))
#' @seealso `vignette("how-the-local-engine-decides")`
#' @export
Engine <- function(name, ...) {
  check_text(name, "name")
  options <- list(...)
  names <- names(options) %||% rep("", length(options))
  if (any(!nzchar(names))) {
    cellferry_stop(
      "unknown_option", "An option of an engine has no name.", "Write name = value."
    )
  }
  new_engine(name, options)
}

# The handle leads to a key that was asked for, which is not part of the object.
new_engine <- function(name, options = list()) {
  structure(
    list(name = name, options = hide_secrets(options), handle = new_handle()),
    class = "cellferry_engine"
  )
}

#' @rdname Engine
#' @param n_genes `LocalEngine()`: how many of a cluster's strongest genes count in full; further
#'   down the ranking a gene counts less and less. `LLMEngine()`: how many genes of each cluster are
#'   sent at most.
#' @param tissue_only Whether only types that occur in the `tissue` of the sample are considered.
#'   Without it a tissue that is given makes types of other tissues less likely.
#' @param knowledge Cell types of your own: the path of a table in the format of the packaged ones
#'   (`system.file("python/cellferry/data/knowledge", package = "cellferry")`) or of gene sets
#'   (`.gmt`), a data frame with the same columns (`name` and `positive` are enough), or a named
#'   list of genes by type. In one text genes are separated by blanks, commas or semicolons;
#'   `"CD79A*3"` has a tier from 1 (supports) to 3 (defines), `"SDPR/CAVIN2"` two names of one gene.
#'   Genes that are no known symbols are a warning. The types are merged with the packaged ones; one
#'   of the same name replaces ours, and yours win where both fit alike.
#' @param knowledge_only Whether your types are used alone.
#' @param measured All genes that were measured, for the marker table of a panel (Xenium, CosMx,
#'   MERFISH): names, or the path of a text file with one on each line. A gene that was not measured
#'   is never taken for silent. Of an object they are read without it.
#' @export
LocalEngine <- function(n_genes = 50L, tissue_only = FALSE, knowledge = NULL,
                        knowledge_only = FALSE, measured = NULL) {
  Engine(
    "local",
    n_genes = n_genes, tissue_only = tissue_only, knowledge = knowledge,
    knowledge_only = knowledge_only, measured = measured
  )
}

#' @rdname Engine
#' @param provider `"anthropic"`, `"bedrock"`, `"google"`, `"groq"`, `"mistral"`, `"openai"` or
#'   `"openrouter"`, or the base URL of an OpenAI-compatible server (Ollama, vLLM, LM Studio).
#' @param model The provider's name of the model.
#' @param base_url Address to use instead of the provider's, exactly as given. Local and private
#'   addresses need no key.
#' @param api_key,api_key_env The key, or the name of the environment variable that has it.
#' @param llm_configs A list of one or two lists of `provider`, `name`, `apiKey`, `baseUrl` and
#'   `modelSettings`, instead of the arguments above; the second model validates.
#' @param output_name Base name of the files `_summary.csv`, `_conversations.json` and
#'   `_report.html`, used as given. A second run of the same name pays only for what is new.
#' @param overwrite_files Whether files of these names that no run of this name wrote are replaced.
#' @param ranking_method,ascending By what the genes are ranked: `"avg_log2FC"`, `"p_val_adj"`,
#'   `"pct_diff"` or `"Score"`; `NULL` is its usual direction.
#' @param additional_info What else the model should know or attend to.
#' @param temperature,reasoning,model_settings Settings of the model: 0 for answers that repeat as
#'   far as it allows; `"low"`, `"medium"` or `"high"`; a named list of others.
#' @param validator_involvement `"v1"`: a validating call judges each answer. `"v0"`: the validator
#'   also annotates without sight of the answer.
#' @param max_workers Calls that run at the same time.
#' @param max_retries How often a reply that can't be read is asked for again.
#' @param max_cost_usd,max_tokens Budget; what is left then is skipped, and
#'   [ResumeAnnotation()] goes on.
#' @param prices `list(input = , output = )`, USD per million tokens, where none is known.
#' @param output_mode `"auto"`, `"tool"`, `"schema"` or `"prompted"`: how an answer in a form is
#'   asked for.
#' @param other_clusters Whether a question names the best genes of the other clusters.
#' @param evidence_rounds How often the model may ask, for each cluster, to have figures looked up
#'   in the object before it answers: of at most 20 genes at once, in what share of the cells of
#'   each cluster they are found, and their mean. `0` is never: then nothing but markers leaves this
#'   machine. For a model elsewhere it needs `allow.upload = TRUE`.
#' @param evidence_columns Metadata columns that it may ask for too: their values by cluster, as
#'   percentages. `NULL` is none.
#' @param remarks What a person remarks about clusters, as a named list of texts: it is in the
#'   question of this cluster alone. [Reannotate()] does this for one cluster.
#' @param timeout Seconds that one call may take.
#' @examples
#' LLMEngine(provider = "openai", model = "qwen3", base_url = "http://localhost:11434/v1")
#' @export
LLMEngine <- function(provider = "openrouter", model = NULL, base_url = NULL, api_key = NULL,
                      api_key_env = NULL, llm_configs = NULL, output_name = NULL,
                      overwrite_files = FALSE, n_genes = 50L, ranking_method = "avg_log2FC",
                      ascending = NULL, additional_info = NULL, temperature = 0,
                      reasoning = NULL, model_settings = NULL, validator_involvement = "v1",
                      max_workers = 4L, max_retries = 1L, max_cost_usd = NULL,
                      max_tokens = NULL, prices = NULL, output_mode = "auto",
                      other_clusters = TRUE, evidence_rounds = 0L, evidence_columns = NULL,
                      remarks = NULL, timeout = 180) {
  new_engine("llm", list(
    provider = provider, model = model, base_url = base_url, api_key = api_key,
    api_key_env = api_key_env, llm_configs = llm_configs, output_name = output_name,
    overwrite_files = overwrite_files, n_genes = n_genes, ranking_method = ranking_method,
    ascending = ascending, additional_info = additional_info, temperature = temperature,
    reasoning = reasoning, model_settings = model_settings,
    validator_involvement = validator_involvement, max_workers = max_workers,
    max_retries = max_retries, max_cost_usd = max_cost_usd, max_tokens = max_tokens,
    prices = prices, output_mode = output_mode, other_clusters = other_clusters,
    evidence_rounds = evidence_rounds, evidence_columns = evidence_columns, remarks = remarks,
    timeout = timeout
  ))
}

#' @rdname Engine
#' @order 1
#' @param api_url Address of the service. `NULL` is the environment variable `CYTETYPE_API_URL`,
#'   else the hosted service. Only `https` leaves this machine.
#' @param auth_token Sent to the service, and stored nowhere. `NULL` is the environment variable
#'   `CYTETYPE_AUTH_TOKEN`.
#' @param llm_configs Models that the service is to use: a list of lists with `provider`, `name`,
#'   and where needed `apiKey`, `baseUrl`, `modelSettings`, `targetAgents`.
#' @param metadata Named list of what the report is to show of the experiment; links stay links.
#' @param n_parallel_clusters Clusters annotated at once, 1 to 50.
#' @param visibility `"private"`, `"org"` or `"public"`; `NULL` leaves it to the service.
#' @param rank_key,gene_symbols_column,coordinates_key Where an AnnData has its ranking, symbols and
#'   embedding; not used for objects of R.
#' @param n_top_genes Markers per cluster.
#' @param aggregate_metadata,min_percentage,max_metadata_categories Whether the composition of
#'   clusters by metadata is sent; of values that more than this percentage of cells have, in
#'   columns with at most so many values.
#' @param pcent_batch_size Most cells that are read at once.
#' @param max_cells_per_group Cells of each cluster whose coordinates are sent.
#' @param obs_columns The only metadata columns that may leave; `NULL` is all.
#' @param vars_h5_path,obs_duckdb_path Where the artifacts are written: a bare name in the folder of
#'   the run, a path as it is.
#' @param upload_timeout_seconds,upload_max_workers Longest silence of the service during an upload;
#'   parts uploaded at once.
#' @param cleanup_artifacts Whether the artifacts are deleted when the run has finished or failed.
#' @param require_artifacts Whether it is an error if an artifact can't be built or uploaded.
#' @param save_query,query_filename Whether and where what is asked is kept as JSON; never a key.
#' @param poll_interval_seconds,timeout_seconds Longest pause between two looks at the job; longest
#'   wait for it.
#' @param overwrite_files Whether files of these names that cellferry did not write are replaced.
#' @export
CyteTypeEngine <- function(api_url = NULL, auth_token = NULL, llm_configs = NULL, metadata = NULL,
                           n_parallel_clusters = 2L, visibility = NULL,
                           rank_key = "rank_genes_groups", gene_symbols_column = NULL,
                           n_top_genes = 50L, aggregate_metadata = TRUE, min_percentage = 10L,
                           max_metadata_categories = 500L, pcent_batch_size = 2000L,
                           coordinates_key = "X_umap", max_cells_per_group = 1000L,
                           obs_columns = NULL, vars_h5_path = "vars.h5",
                           obs_duckdb_path = "obs.duckdb", upload_timeout_seconds = 3600,
                           upload_max_workers = 4L, cleanup_artifacts = FALSE,
                           require_artifacts = TRUE, save_query = TRUE,
                           query_filename = "query.json", poll_interval_seconds = 30,
                           timeout_seconds = 7200, overwrite_files = FALSE) {
  options <- mget(names(formals()))
  do.call(Engine, c(list("cytetype"), options))
}

#' The engine of the Cell Atlas service
#'
#' Sends the expression of every cell to a service that speaks the Cell Atlas API, the hosted one or
#' `cellferry serve` on your own machine, and takes home a label for each. Pass the result to
#' [AnnotateCells()]. Cells are sent in chunks, and each answer is kept in the run at once, so that
#' [ResumeAnnotation()] goes on with the chunk that is missing.
#'
#' @inheritSection Engine Keys
#' @param api_url Whole address of the annotation endpoint; `NULL` is the environment variable
#'   `CELLATLAS_API_URL`, else the hosted service.
#' @param api_key Sent to the service, and stored nowhere. `NULL` is the environment variable
#'   `CELLATLAS_API_KEY`. A service on this machine needs none.
#' @param model,reference_atlas As the service knows them.
#' @param timeout Seconds: longest silence of the service, and longest time of one request.
#' @param chunk_size,chunk_bytes Most cells of a request (at most 100,000), and about how many bytes
#'   it may have.
#' @param parallel Requests at once.
#' @param compress Whether requests are gzipped; `NULL`: once the service has said that it takes
#'   that, by the response header `Accept-Encoding`.
#' @param values `"auto"`: raw counts where the object has them, else log-normalised values;
#'   `"counts"` or `"normalized"` insists, and reads only those.
#' @param qc What is done about empty droplets, dying cells and doublets: `"warn"`, `"filter"` (they
#'   are not sent and get no label) or `"off"`.
#' @param min_counts,max_mitochondrial A cell with fewer counts is an empty droplet; one with a
#'   larger share of mitochondrial counts is dying. Where near-empty barcodes are there, those with
#'   few counts are tested against them too.
#' @param doublets `"column"`: what a column of the object says, such as `scDblFinder.class`.
#'   `"compute"`: where there is none a score is computed from raw counts by Scrublet, if scanpy is
#'   installed in cellferry's Python; the run keeps it as `doublet_scores.json`. Doublets are
#'   reported, and left out with `qc = "filter"` only.
#' @param markers_path,embedding_path Where the service has what [ExportMarkers()] and
#'   [EmbedCells()] ask for, for example `"/v1/singlecell/markers"`; `NULL`: beside `annotate`, as
#'   on `cellferry serve`.
#'
#' @return An object of class `cellferry_engine`.
#' @family annotation
#' @seealso `vignette("annotating-cells")`
#' @examples
#' CellAtlasEngine(qc = "filter")
#' CellAtlasEngine(api_url = "http://127.0.0.1:8000/v1/singlecell/annotate")
#' @export
CellAtlasEngine <- function(api_url = NULL, api_key = NULL, model = "geneformer",
                            reference_atlas = "human-core-2026", timeout = 300,
                            chunk_size = 50000L, chunk_bytes = 24 * 1024^2, parallel = 2L,
                            compress = NULL, values = "auto", qc = "warn", min_counts = 200L,
                            max_mitochondrial = 0.2, doublets = "column", markers_path = NULL,
                            embedding_path = NULL) {
  new_engine("cellatlas", mget(names(formals())))
}

#' @export
format.cellferry_engine <- function(x, ...) {
  given <- x$options[!vapply(x$options, is.null, NA)]
  shown <- vapply(names(given), function(name) paste0(name, " = ", shown_option(given[[name]])), "")
  paste0("<cellferry engine: ", paste(c(x$name, shown), collapse = ", "), ">")
}

shown_option <- function(value) {
  if (is_secret(value)) {
    "<hidden>"
  } else if (isS4(value)) {
    paste0("<", class(value)[1], ">")
  } else if (is.list(value)) {
    parts <- vapply(value, shown_option, "")
    named <- if (is.null(names(value))) parts else paste(names(value), parts, sep = " = ")
    paste0("list(", paste(named, collapse = ", "), ")")
  } else {
    deparse(value)[1]
  }
}

#' @export
print.cellferry_engine <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  invisible(x)
}

#' @importFrom utils str
#' @export
str.cellferry_engine <- function(object, ...) {
  cat(" ", format(object), "\n", sep = "")
}

as_engine <- function(engine) {
  if (inherits(engine, "cellferry_engine")) {
    return(engine)
  }
  if (rlang::is_string(engine)) {
    return(new_engine(engine))
  }
  invalid_argument(engine, "engine", "the name of an engine, or an engine such as LocalEngine()")
}

json_engine <- function(engine) {
  options <- reveal_secrets(engine$options)
  if (engine$name == "singler") options <- with_reference(options)
  for (option in names(prompted_keys(engine))) {
    options[[option]] <- options[[option]] %||% prompted_keys(engine)[[option]]
  }
  share_keys(engine$name, options[["api_key_env"]])
  list(name = json_text(engine$name), options = json_record(lapply(options, json_value)))
}
