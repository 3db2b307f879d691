canary <- "canary-7f3a91-secret"

cytetype <- function(url, ...) {
  CyteTypeEngine(api_url = url, poll_interval_seconds = 0.1, timeout_seconds = 30, ...)
}

# The label that the server of the tests gives to a cluster with these markers.
label_of <- function(markers) paste(markers[[1]], "cell")

expect_right_labels <- function(object, url) {
  jobs <- seen(url)$jobs
  sent <- jobs[[length(jobs)]]$sent$input_data
  wanted <- vapply(as.character(object$RNA_snn_res.1), function(cluster) {
    label_of(sent$markerGenes[[cluster]])
  }, "")
  expect_identical(as.character(object$cell_type), unname(wanted))
}

bytes_of <- function(folder) {
  files <- list.files(folder, recursive = TRUE, full.names = TRUE, all.files = TRUE)
  unlist(lapply(files, function(file) readBin(file, "raw", file.size(file))))
}

test_that("CyteTypeEngine() has the options of the registry and their defaults", {
  skip_without_backend()
  registered <- describe_engine("cytetype")$options
  expect_identical(names(formals(CyteTypeEngine)), names(registered))
  ours <- lapply(formals(CyteTypeEngine), eval)
  for (name in names(registered)) {
    expect_equal(ours[[name]], registered[[name]], info = name)
  }
})

test_that("a Seurat object goes to the service whole and its labels come back", {
  skip_without_backend()
  local_home()
  url <- fault_server()
  object <- small_object()
  labelled <- suppressMessages(AnnotateClusters(
    object, small_markers(),
    engine = cytetype(url, metadata = list(run_label = "v1")), group.by = "RNA_snn_res.1",
    study.context = "Human blood"
  ))
  expect_right_labels(labelled, url)
  sent <- seen(url)$jobs[[1]]$sent
  data <- sent$input_data
  expect_identical(data$clientInfo$clientType, "seurat")
  expect_identical(data$infoTags, list(run_label = "v1"))
  expect_match(data$studyInfo, "^Human blood")
  expect_setequal(names(sent$uploaded_files), c("vars_h5", "obs_duckdb"))
  # Percentages and composition are those that R counts itself.
  values <- SeuratObject::GetAssayData(object[["RNA"]], "data")
  cells <- object$RNA_snn_res.1 == "1"
  expect_equal(data$expressionData$LYZ[["1"]], round(100 * mean(values["LYZ", cells] > 0), 2))
  groups <- table(object$groups[cells])
  expect_equal(data$clusterMetadata[["1"]]$groups$g1, floor(100 * groups[["g1"]] / sum(groups)))
  expect_length(data$visualizationData$coordinates, ncol(object))
  expect_identical(length(data$expressionData), nrow(object))
  evidence <- jsonlite::parse_json(SeuratObject::Misc(labelled, "cellferry")$cell_type)$evidence
  expect_identical(evidence[["0"]]$latest$review$confidence, "High")
})

test_that("options can be written beside the name", {
  skip_without_backend()
  local_home()
  url <- fault_server()
  labelled <- suppressMessages(AnnotateClusters(
    small_object(), small_markers(), "cytetype", "RNA_snn_res.1",
    api_url = url, auth_token = canary, poll_interval_seconds = 0.1, n_top_genes = 3
  ))
  expect_right_labels(labelled, url)
  requests <- seen(url)$requests
  expect_identical(requests[[1]]$headers$Authorization, paste("Bearer", canary))
})

test_that("a token is nowhere but in the request", {
  skip_without_backend()
  home <- local_home()
  url <- fault_server()
  model <- list(provider = "openai", name = "gpt", apiKey = canary)
  messages <- capture.output(type = "message", {
    labelled <- AnnotateClusters(
      small_object(), small_markers(), cytetype(url, auth_token = canary, llm_configs = model),
      "RNA_snn_res.1"
    )
  })
  expect_identical(seen(url)$jobs[[1]]$sent$llm_configs[[1]]$apiKey, canary)
  expect_false(any(grepl(canary, messages, fixed = TRUE)))
  expect_length(grepRaw(canary, bytes_of(home), fixed = TRUE), 0)
  file <- withr::local_tempfile()
  saveRDS(labelled, file, compress = FALSE)
  expect_length(grepRaw(canary, readBin(file, "raw", file.size(file)), fixed = TRUE), 0)
  expect_false(any(grepl(canary, names(labelled@commands), fixed = TRUE)))
  expect_false(any(grepl(canary, capture.output(str(labelled@commands)), fixed = TRUE)))
})

test_that("an error shows no token: not in its text, its call, its trace or its record", {
  skip_without_backend()
  home <- local_home()
  body <- "{\"detail\": \"bad token canary-7f3a91-secret\"}"
  fault <- list(list(
    kind = "answer", method = "POST", path = "annotate", times = 9, status = 401
  ))
  url <- fault_server(jsonlite::toJSON(fault, auto_unbox = TRUE))
  error <- tryCatch(
    AnnotateClusters(
      small_object(), small_markers(), "cytetype", "RNA_snn_res.1",
      api_url = url, auth_token = canary, verbose = FALSE
    ),
    error = identity
  )
  expect_s3_class(error, "cellferry_service_credentials_error")
  shown <- c(
    conditionMessage(error), deparse(conditionCall(error)), capture.output(print(error)),
    capture.output(str(unclass(error))), format(error$trace)
  )
  expect_false(any(grepl(canary, shown, fixed = TRUE)))
  expect_length(grepRaw(canary, bytes_of(home), fixed = TRUE), 0)
})

test_that("what is not this machine gets nothing unasked", {
  skip_without_backend()
  local_home()
  expect_error(
    suppressMessages(AnnotateClusters(
      small_object(), small_markers(), CyteTypeEngine(api_url = "https://cytetype.example.org")
    )),
    "metadata \\(the columns .*\"groups\".*\\) to cytetype.example.org, [0-9,]+ bytes",
    class = "cellferry_upload_not_allowed_error"
  )
})

broken_results <- "[{\"kind\":\"answer\",\"method\":\"GET\",\"path\":\"results\",\"times\":99,
  \"status\":422}]"

test_that("a run that stopped is finished with its id, in R and from another language", {
  skip_without_backend()
  local_home()
  url <- fault_server(broken_results)
  object <- small_object()
  error <- tryCatch(
    suppressMessages(AnnotateClusters(object, small_markers(), cytetype(url), "RNA_snn_res.1")),
    cellferry_service_rejected_error = identity
  )
  run <- error$data$run
  expect_identical(ListRuns()$status, "failed")
  mend(url)
  printed <- run_python(sprintf(
    "from cellferry.annotate import resume; print(resume('%s').labels())", run
  ))
  expect_match(printed, "cell", all = FALSE)
  labelled <- suppressMessages(ResumeAnnotation(object, run))
  expect_right_labels(labelled, url)
  expect_length(seen(url)$jobs, 1)
})

test_that("a session of R that was killed in mid-poll is finished by another one", {
  skip_without_backend()
  skip_on_os("windows")
  home <- local_home()
  slow <- "[{\"kind\":\"delay\",\"method\":\"GET\",\"path\":\"status\",\"times\":99,\"seconds\":5}]"
  url <- fault_server(slow)
  object <- small_object()
  given <- withr::local_tempfile(fileext = ".rds")
  saveRDS(list(object, small_markers()), given)
  script <- withr::local_tempfile(fileext = ".R", lines = c(
    "library(cellferry)",
    sprintf("given <- readRDS('%s')", given),
    "AnnotateClusters(given[[1]], given[[2]],",
    sprintf("  CyteTypeEngine(api_url = '%s', auth_token = '%s'),", url, canary),
    "  group.by = 'RNA_snn_res.1')"
  ))
  process <- withr::local_tempfile()
  rscript <- file.path(R.home("bin"), "Rscript")
  line <- sprintf("echo $$ > '%s'; exec '%s' '%s' > /dev/null 2>&1", process, rscript, script)
  system2("sh", c("-c", shQuote(line)), wait = FALSE)
  for (i in 1:600) {
    if (length(seen(url)$jobs)) break
    Sys.sleep(0.1)
  }
  expect_length(seen(url)$jobs, 1)
  killed <- as.integer(readLines(process))
  tools::pskill(killed, tools::SIGKILL)
  for (i in 1:100) {
    # On a busy machine it takes a moment until it is gone, and its lock with it.
    if (!isTRUE(tools::pskill(killed, 0L))) break
    Sys.sleep(0.1)
  }
  run <- ListRuns()
  expect_identical(run$status, "unfinished")
  mend(url)
  expect_error(
    suppressMessages(ResumeAnnotation(object, run$id)),
    class = "cellferry_credentials_required_error"
  )
  withr::local_envvar(CYTETYPE_AUTH_TOKEN = canary)
  labelled <- suppressMessages(ResumeAnnotation(object, run$id))
  expect_right_labels(labelled, url)
  expect_length(seen(url)$jobs, 1)
  expect_length(grepRaw(canary, bytes_of(home), fixed = TRUE), 0)
})

test_that("a run of Python is finished in R", {
  skip_without_backend()
  local_home()
  url <- fault_server(broken_results)
  printed <- run_python(c(
    "import sys, warnings",
    sprintf("sys.path.insert(0, '%s')", normalizePath(test_path("..", "python", "support"))),
    "from cytetype_runs import *",
    "from types import SimpleNamespace",
    "try:",
    sprintf("    run_engine(SimpleNamespace(url='%s'))", url),
    "except Exception as error: print(error.data['run'])"
  ))
  run <- printed[length(printed)]
  mend(url)
  found <- suppressMessages(ResumeAnnotation(run = run))
  expect_identical(found$cluster, c("0", "1", "10", "2"))
  expect_match(found$label, "^GENE.* cell$")
})

test_that("a token of the environment is seen when it is set later", {
  skip_without_backend()
  local_home()
  url <- fault_server()
  withr::local_envvar(CYTETYPE_AUTH_TOKEN = canary)
  suppressMessages(
    AnnotateClusters(small_object(), small_markers(), cytetype(url), "RNA_snn_res.1")
  )
  requests <- seen(url)$requests
  expect_identical(requests[[1]]$headers$Authorization, paste("Bearer", canary))
  withr::local_envvar(CYTETYPE_AUTH_TOKEN = NA)
  suppressMessages(
    AnnotateClusters(small_object(), small_markers(), cytetype(url), "RNA_snn_res.1")
  )
  requests <- seen(url)$requests
  expect_null(requests[[length(requests)]]$headers$Authorization)
})

test_that("an engine shows and saves no secret, also not one in a list", {
  secret <- c("auth_token", "api_key", "apiKey", "key", "awsSecretAccessKey", "awsAccessKeyId")
  plain <- c("rank_key", "coordinates_key", "group_key", "max_tokens", "n_top_genes", "keys")
  expect_true(all(vapply(secret, names_secret, NA)))
  expect_false(any(vapply(plain, names_secret, NA)))
  engine <- CyteTypeEngine(
    auth_token = canary, rank_key = "mine",
    llm_configs = list(list(provider = "bedrock", name = "m", awsSecretAccessKey = canary))
  )
  shown <- c(
    format(engine), capture.output(print(engine)), capture.output(str(engine)),
    capture.output(print(unclass(engine))), capture.output(dput(engine)), deparse(engine)
  )
  expect_false(any(grepl(canary, shown, fixed = TRUE)))
  expect_match(format(engine), "rank_key = \"mine\"", fixed = TRUE)
  file <- withr::local_tempfile()
  saveRDS(engine, file, compress = FALSE)
  expect_length(grepRaw(canary, readBin(file, "raw", file.size(file)), fixed = TRUE), 0)
})
