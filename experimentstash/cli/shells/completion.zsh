# Completes words after `experimentstash`: eval "$(experimentstash -sc install=zsh)"
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
_experimentstash()
{
    local line word about
    local -a program=(${(Q)words[1]}) plain_words plain open_words open
    program[1]=${program[1]/#\~/$HOME}
    while IFS=$'\t' read -r word about; do
        if [[ $word == *[=./] ]]; then
            open_words+=("$word") open+=("$word${about:+  ($about)}")
        else
            plain_words+=("$word") plain+=("$word${about:+  ($about)}")
        fi
    done < <(COMP_LINE="${(j: :)words[1,CURRENT-1]} $PREFIX" $program -sc query=zsh 2> /dev/null)
    if (( ! $#plain_words && ! $#open_words )); then
        _files
        return
    fi
    (( $#plain_words )) && compadd -l -V experimentstash -d plain -a plain_words
    (( $#open_words )) && compadd -l -V experimentstash-open -S '' -d open -a open_words
    return 0
}
compdef _experimentstash experimentstash
