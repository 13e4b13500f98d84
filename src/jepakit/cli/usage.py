"""List the commands and what each takes, in one table: for the help, and for the sentence on what is missing."""

COMMANDS = {
    "train": "RECIPE [--out DIR] [--option value ...]   train a recipe; the same command again goes on",
    "evaluate": "RUN [--final]          score an encoder, forecasts, or the reaching of goals, beside floors",
    "plan": "RUN [--episodes N]     reach goals in the world that a run has learned",
    "surprise": "RUN --data FILE        mark the moments of a recording, or of a record, that surprise a run",
    "agent": "AGENT [--out DIR]      collect, learn and plan in a world by rounds; the same command again goes on",
    "experiment": "NAME [--out DIR]       answer a question by many trainings, on a page; the same command goes on",
    "embed": "MODEL IMAGES OUT       write embeddings of a folder, table or saved dataset (.npy + .csv, or .parquet)",
    "import": "PATH --out DIR         convert a file of Meta's or a folder of Hugging Face's once into our folder",
    "export": "MODEL OUT [--to hf]    write a model as Hugging Face's folder, Meta's file, or ONNX",
    "compare": "RUN RUN ... [--final]  paired differences between runs, and what differs in their settings",
    "report": "RUN                    rebuild report.html from a run's files",
    "doctor": "                       what this machine can do, and what stands in the way",
    "demo": "[--quick]              learn to see digits, then to reach goals in a world, with reports",
}
USAGE = """jepakit: learn by predicting embeddings.

usage: jepakit COMMAND ...   (jepakit COMMAND --help for its options)

"""
