# The scripted server of the Python tests, in a process of its own.
fault_server <- function(faults = "[]", frame = parent.frame()) {
  script <- testthat::test_path("..", "python", "fault_server.py")
  testthat::skip_if_not(file.exists(script), "The server of the Python tests is not here")
  address <- withr::local_tempfile(.local_envir = frame)
  # Not a local file: it must outlive the test until the shell has seen it.
  stop_file <- tempfile("stop")
  # The server ends with its standard input, which a shell holds open until the file is there.
  hold <- sprintf("while [ ! -e '%s' ]; do sleep 0.1; done", stop_file)
  command <- sprintf(
    "(%s) 2> /dev/null | %s %s %s > %s 2> /dev/null", hold,
    shQuote(reticulate::py_config()$python), shQuote(script), shQuote(faults), shQuote(address)
  )
  with_clean_library_path(system2(
    "sh", c("-c", shQuote(command)),
    wait = FALSE, stdout = FALSE, stderr = FALSE
  ))
  withr::defer(file.create(stop_file), envir = frame)
  for (i in 1:200) {
    url <- if (file.exists(address)) readLines(address, warn = FALSE)
    if (length(url)) {
      return(url)
    }
    Sys.sleep(0.1)
  }
  stop("The server of the tests did not start.")
}

seen <- function(url) {
  connection <- url(paste0(url, "/_seen"))
  on.exit(close(connection))
  jsonlite::parse_json(paste(readLines(connection, warn = FALSE), collapse = ""))
}

mend <- function(url) {
  connection <- url(paste0(url, "/_mend"))
  on.exit(close(connection))
  invisible(readLines(connection, warn = FALSE))
}

# Another Python process with the core; its output as lines.
run_python <- function(code) {
  file <- withr::local_tempfile(lines = code, fileext = ".py")
  with_clean_library_path(suppressWarnings(system2(
    reticulate::py_config()$python, shQuote(file),
    stdout = TRUE, stderr = TRUE, env = paste0("PYTHONPATH=", core_folder())
  )))
}
