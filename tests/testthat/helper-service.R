# A Python server in a process of its own, for as long as a test runs; the file with what it prints,
# of which the first line has its address. What it complains of is in the error if it does not begin.
begun_server <- function(arguments, frame, variables = character()) {
  said <- withr::local_tempfile(.local_envir = frame)
  complained <- withr::local_tempfile(.local_envir = frame)
  # Not a local file: the server must outlive the test until the shell has seen that it is to end.
  stop_file <- tempfile("stop")
  # R takes its folder away when it ends, perhaps before that.
  script <- withr::local_tempfile(.local_envir = frame, fileext = ".sh", lines = sprintf(
    "%s\n%s %s %s > %s 2> %s < /dev/null &\n%s", "unset LD_LIBRARY_PATH",
    paste(variables, collapse = " "), shQuote(reticulate::py_config()$python),
    paste(arguments, collapse = " "), shQuote(said), shQuote(complained),
    sprintf(
      "server=$!\nwhile [ -d '%s' ] && [ ! -e '%s' ]; do sleep 0.1; done\nkill $server",
      dirname(stop_file), stop_file
    )
  ))
  system2("sh", shQuote(script), wait = FALSE, stdout = FALSE, stderr = FALSE)
  withr::defer(file.create(stop_file), envir = frame)
  until <- Sys.time() + 100
  while (Sys.time() < until) {
    # A port that another suite still uses is waited for.
    if (file.exists(said) && any(grepl("http", readLines(said, warn = FALSE)))) {
      return(said)
    }
    Sys.sleep(0.1)
  }
  text <- function(file) if (file.exists(file)) readLines(file, warn = FALSE) else "(no file)"
  stop(
    "The server of the tests did not begin: ", paste(arguments, collapse = " "),
    "\nIt said: ", paste(text(said), collapse = "\n"),
    "\nIt complained: ", paste(utils::tail(text(complained), 5), collapse = "\n"),
    "\nLoad: ", text("/proc/loadavg")
  )
}

# One of the servers of the Python tests.
local_test_server <- function(name, arguments, frame = parent.frame()) {
  script <- testthat::test_path("..", "python", "support", name)
  testthat::skip_if_not(file.exists(script), "The test server is not part of this package")
  begun_server(c(shQuote(script), arguments), frame)
}

# The scripted server of the CyteType protocol; its address.
fault_server <- function(faults = "[]", frame = parent.frame()) {
  readLines(local_test_server("fault_server.py", c("--faults", shQuote(faults)), frame))[1]
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

# `cellferry serve` in a process of its own; its address.
served <- function(frame = parent.frame()) {
  jobs <- withr::local_tempdir(.local_envir = frame)
  said <- begun_server(
    c(
      "-c", shQuote("import os; os.dup2(1, 2); from cellferry.cli import main; main()"),
      "serve", "--port 0 --data", shQuote(jobs)
    ),
    frame,
    variables = paste0("PYTHONPATH=", shQuote(core_folder()))
  )
  text <- readLines(said, warn = FALSE)
  regmatches(text, regexpr("http://[0-9.:]+", text))[1]
}
