#' Choose an engine and its options
#'
#' `Engine()` makes any engine by its name; `LocalEngine()` is the one that needs no key and no
#' network; `CyteTypeEngine()` asks a service that speaks the CyteType protocol, the hosted one or
#' `cellferry serve` on your own machine. Pass the result to [AnnotateClusters()], or pass the
#' name and write the options beside it: `AnnotateClusters(x, engine = "local", n_genes = 20)`.
#' [CellAtlasEngine()] is for [AnnotateCells()].
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
#'   list of genes by type. They are merged with the packaged ones; a type of the same name
#'   replaces ours, and yours win where both fit alike.
#' @param knowledge_only Whether your types are used alone.
#' @export
LocalEngine <- function(n_genes = 50L, tissue_only = FALSE, knowledge = NULL,
                        knowledge_only = FALSE) {
  Engine(
    "local",
    n_genes = n_genes, tissue_only = tissue_only, knowledge = knowledge,
    knowledge_only = knowledge_only
  )
}

#' @rdname Engine
#' @param provider `"anthropic"`, `"bedrock"`, `"google"`, `"groq"`, `"mistral"`, `"openai"` or
#'   `"openrouter"`, or the base URL of an OpenAI-compatible server (Ollama, vLLM, LM Studio).
#' @param model The provider's name of the model.
#' @param base_url Address to use instead of the provider's, exactly as given. Local and private
#'   addresses need no key.
#' @param api_key,api_key_env The key, or the name of the environment variable that holds it.
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
                      other_clusters = TRUE, timeout = 180) {
  new_engine("llm", list(
    provider = provider, model = model, base_url = base_url, api_key = api_key,
    api_key_env = api_key_env, llm_configs = llm_configs, output_name = output_name,
    overwrite_files = overwrite_files, n_genes = n_genes, ranking_method = ranking_method,
    ascending = ascending, additional_info = additional_info, temperature = temperature,
    reasoning = reasoning, model_settings = model_settings,
    validator_involvement = validator_involvement, max_workers = max_workers,
    max_retries = max_retries, max_cost_usd = max_cost_usd, max_tokens = max_tokens,
    prices = prices, output_mode = output_mode, other_clusters = other_clusters,
    timeout = timeout
  ))
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

# Keys of this session by handle. Objects hold only handles, so that saveRDS(), dput() and a
# workspace image have nothing to tell.
.secrets <- new.env(parent = emptyenv())

new_handle <- function() {
  paste0("h", length(ls(.secrets)), "-", basename(tempfile("")))
}

keep_secret <- function(handle, value) {
  if (exists(handle, envir = .secrets, inherits = FALSE)) rm(list = handle, envir = .secrets)
  assign(handle, value, envir = .secrets)
  lockBinding(handle, .secrets)
}

hide_secrets <- function(options) {
  for (i in seq_along(options)) {
    value <- options[[i]]
    if (names_secret(names(options)[i]) && is.character(value)) {
      handle <- new_handle()
      keep_secret(handle, value)
      options[[i]] <- structure(list(handle = handle), class = "cellferry_secret")
    } else if (is.list(value) && !is_secret(value)) {
      options[[i]] <- hide_secrets(value)
    }
  }
  options
}

# NULL in another session than the one that was given the key.
reveal_secrets <- function(options) {
  for (i in seq_along(options)) {
    value <- options[[i]]
    if (is_secret(value)) {
      options[i] <- list(.secrets[[value$handle]])
    } else if (is.list(value)) {
      options[[i]] <- reveal_secrets(value)
    }
  }
  options
}

is_secret <- function(value) inherits(value, "cellferry_secret")

# Options that end like a secret and are none.
plain_options <- c("coordinates_key", "group_key", "rank_key")

# Whether an option or a field of that name is a secret, written as in R or as in JSON.
names_secret <- function(name) {
  if (is.null(name)) {
    return(FALSE)
  }
  name <- gsub("([a-z0-9])([A-Z])", "\\1_\\2", name)
  pattern <- "(^|[._]|api)(key|token|secret|password)([._]id)?$"
  grepl(pattern, name, ignore.case = TRUE) & !tolower(name) %in% plain_options
}

#' @export
format.cellferry_secret <- function(x, ...) "<hidden>"

#' @export
print.cellferry_secret <- function(x, ...) {
  cat("<hidden>\n")
  invisible(x)
}

#' @export
str.cellferry_secret <- function(object, ...) cat(" <hidden>\n")

as_engine <- function(engine) {
  if (inherits(engine, "cellferry_engine")) {
    return(engine)
  }
  if (is.character(engine) && length(engine) == 1L && !is.na(engine)) {
    return(new_engine(engine))
  }
  invalid_argument(engine, "engine", "the name of an engine, or an engine such as LocalEngine()")
}

json_engine <- function(engine) {
  options <- reveal_secrets(engine$options)
  for (option in names(asked_keys(engine))) {
    options[[option]] <- options[[option]] %||% asked_keys(engine)[[option]]
  }
  share_keys(options[["api_key_env"]])
  list(name = json_text(engine$name), options = json_record(lapply(options, json_value)))
}

# Python copies the environment when it starts, and would not see a later Sys.setenv().
share_keys <- function(more = NULL) {
  names <- unique(c(unlist(describe_backend()$key_variables), more))
  names <- names[nzchar(names)]
  # Python may be the parent of this process, and have its environment already; see rds.R.
  if (!length(names)) {
    return(invisible())
  }
  in_python("Setting the variables of keys", {
    environ <- reticulate::import("os", convert = FALSE)$environ
    for (name in names) {
      value <- Sys.getenv(name, unset = NA)
      if (is.na(value)) {
        environ$pop(name, NULL)
      } else {
        environ$update(reticulate::py_dict(name, list(as_utf8(value))))
      }
    }
  })
}

# Evaluates `code` once more with a key, where one is missing and somebody is there to be asked.
with_asked_key <- function(engine, code) {
  again <- substitute(code)
  frame <- parent.frame()
  tryCatch(code, cellferry_credentials_required_error = function(cnd) {
    option <- unlist(cnd$data$option) %||% "api_key"
    where <- unlist(cnd$data$provider)
    what <- if (is.null(where)) paste0("`", option, "`") else paste("Key for", where)
    key <- ask_for_key(paste(what, "(not stored): "))
    if (is.null(key) || !nzchar(key)) stop(cnd)
    keep_secret(engine$handle, stats::setNames(list(key), option))
    eval(again, frame)
  })
}

# Keys that were asked for, by the option that they are.
asked_keys <- function(engine) .secrets[[engine$handle %||% ""]]

# The option is for front ends that ask in their own way, and for tests.
ask_for_key <- function(prompt) {
  ask <- getOption("cellferry.ask_key")
  if (is.function(ask)) {
    return(ask(prompt))
  }
  if (!interactive()) {
    return(NULL)
  }
  if (requireNamespace("askpass", quietly = TRUE)) askpass::askpass(prompt) else readline(prompt)
}
