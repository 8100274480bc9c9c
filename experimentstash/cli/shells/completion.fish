# Completes words after `experimentstash` and `python -m experimentstash`: experimentstash -sc install=fish | source
function _experimentstash
    set -l line (commandline -cp)
    set -l program (commandline -opc)[1]
    set program (string replace -r '^~' $HOME -- $program)
    string match -q '*python*' -- $program; and set program $program -m experimentstash
    set -l found (COMP_LINE="$line" $program -sc query=fish 2>/dev/null)
    if test (count $found) -eq 0
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c experimentstash -k -f -a '(_experimentstash)'
for python in python python3
    complete -c $python -k -f -n 'string match -q -- "-m experimentstash *" (string join " " -- (commandline -opc)[2..] "")' -a '(_experimentstash)'
end
