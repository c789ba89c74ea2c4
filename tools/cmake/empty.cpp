// Stands for sources that are not there yet.
